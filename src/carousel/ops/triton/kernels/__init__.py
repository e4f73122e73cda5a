"""The kernels: Triton's own language in Python's words, so that no type checker reads it."""
