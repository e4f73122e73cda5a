"""Tasks that are generated, as the papers define them."""
