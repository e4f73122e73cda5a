"""The compiled kernels, as module.cpp shows them: numbers and addresses in, results where the addresses say.

`kind` is 0 for float32 and 1 for float64; a cell is the integers of `carousel.cells.row.encode`. Nothing is checked
but how many numbers came (TypeError, ValueError): memory at an address must be as large as the sizes say.
"""

from collections.abc import Sequence

POINTERS: tuple[str, ...]
"""Every tensor that a call may take, in order; the address 0 stands for one that is absent."""
STRIDED: tuple[str, ...]
"""Those of them whose rows lie anywhere: two strides each, of time and batch, in numbers."""
SIZES: tuple[str, ...]
"""What the sizes of a call are, in order."""
ROWS: list[list[int]]
"""The cells that are compiled as constants; every other one asks while it runs."""
TARGETS: list[str]
"""The instruction sets that this machine has, the best first."""

def target() -> str:
    """The instruction set that runs."""

def use(target: str, /) -> None:
    """Run this instruction set from now on. Raises ValueError if it is not one of TARGETS."""

def runtime() -> str:
    """Whose threads run the loops."""

def forward(
    kind: int,
    cell: Sequence[int],
    sizes: Sequence[int],
    flags: int,
    pointers: Sequence[int],
    strides: Sequence[int],
    threads: int,
    /,
) -> None:
    """All steps. Flags: 1 backwards in time, 2 save what the backward pass reads."""

def backward(
    kind: int,
    cell: Sequence[int],
    sizes: Sequence[int],
    flags: int,
    pointers: Sequence[int],
    strides: Sequence[int],
    threads: int,
    /,
) -> None:
    """All gradients. Flags: 1 backwards in time, 4 add to the weights' gradients."""

def stream(kind: int, cell: Sequence[int], sizes: Sequence[int], addresses: Sequence[int], /) -> None:
    """One step. Addresses: x, h, c, W, R, both biases, the peepholes, and where h and c go."""

def squash(kind: int, squash: int, source: int, to: int, count: int, /) -> None:
    """One squashing function, by its place in `SQUASHES`, of `count` numbers at the address `source`."""
