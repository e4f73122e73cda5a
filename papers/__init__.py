"""Papers reproduced: a folder each, with the claim in its README, every number in experiment.toml, and run.py."""
