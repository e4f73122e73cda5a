"""Kernels for graphics processors, in Triton: the rows of the table are their compile-time arguments."""

from carousel.ops.triton.backend import Triton

__all__ = ["Triton"]
