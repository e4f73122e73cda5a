"""Every cell in compiled loops for the processor: forward and backward, one thread a share of the sequences."""

from carousel.ops.cpu.backend import CPU
from carousel.ops.cpu.stream import Stream

__all__ = ["CPU", "Stream"]
