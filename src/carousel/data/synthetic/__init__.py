"""Tasks of the literature, drawn anew from a seed: one file a family."""
