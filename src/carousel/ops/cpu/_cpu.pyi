"""The compiled kernels, as module.cpp shows them: numbers and addresses in, results where the addresses say.

`kind` is 0 for float32 and 1 for float64; a cell is the integers of `carousel.cells.row.encode`. Nothing is checked
but how many numbers came (TypeError, ValueError): memory at an address must be as large as the sizes say.
"""

from collections.abc import Sequence
from typing import Any

POINTERS: tuple[str, ...]
"""Every tensor that a call may take, in order; the address 0 stands for one that is absent."""
STRIDED: tuple[str, ...]
"""Those of them whose rows lie anywhere: two strides each, of time and batch, in numbers."""
SIZES: tuple[str, ...]
"""What the sizes of a call are, in order."""
STEP_POINTERS: tuple[str, ...]
"""Every tensor that a step given its pre-activations may take, in order."""
STEP_SIZES: tuple[str, ...]
"""What the sizes of such a step are, in order."""
STREAMED: tuple[str, ...]
"""What a stream calls the weights of a layer."""
ONLINE_POINTERS: tuple[str, ...]
"""Every tensor that learning online takes, in order."""
ONLINE_STRIDED: tuple[str, ...]
"""Those of them that come as streams: two strides each, of time and net, in numbers."""
ONLINE_SIZES: tuple[str, ...]
"""What its sizes and options are, in order."""
TRANSDUCER_POINTERS: tuple[str, ...]
"""Every tensor that the loss of a transducer takes, in order."""
TRANSDUCER_SIZES: tuple[str, ...]
"""What its sizes are, in order."""
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

def population(
    kind: int, cell: Sequence[int], sizes: Sequence[int], flags: int, pointers: Sequence[int], strides: Sequence[int],
    apart: Sequence[int], count: int, threads: int, /,
) -> None:  # fmt: skip
    """As `forward`, for `count` networks: the tensors of each lie `apart` bytes behind those of the one before."""

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

def step(kind: int, cell: Sequence[int], sizes: Sequence[int], pointers: Sequence[int], threads: int, /) -> None:
    """One step given its pre-activations."""

def step_backward(
    kind: int, cell: Sequence[int], sizes: Sequence[int], pointers: Sequence[int], threads: int, /
) -> None:
    """All its gradients."""

def online_width() -> int:
    """Of how many nets the numbers lie side by side."""

def online(
    cell: Sequence[int], sizes: Sequence[int], pointers: Sequence[int], strides: Sequence[int], threads: int, /
) -> None:
    """All steps of a stream, learning meanwhile; float64."""

def transducer_emissions(kind: int, sizes: Sequence[int], pointers: Sequence[int], threads: int, /) -> None:
    """The log-probabilities of blank and label at every place, and the logarithm of each place's sum."""

def transducer_emissions_backward(kind: int, sizes: Sequence[int], pointers: Sequence[int], threads: int, /) -> None:
    """The gradients of the scores, from those of both log-probabilities."""

def transducer_lattice(kind: int, sizes: Sequence[int], pointers: Sequence[int], threads: int, /) -> None:
    """The loss of each sequence and its gradients, from both log-probabilities at every place."""

def squash(kind: int, squash: int, source: int, to: int, count: int, /) -> None:
    """One squashing function, by its place in `SQUASHES`, of `count` numbers at the address `source`."""

class Stream:
    """A cell, or a stack of layers of one width, without gradients: made once for a module, called at every step.

    Takes an encoded cell, the widths of its states, for each layer its sizes and the name, role and shape of each
    weight, whether it is a (stack, residual) one, zoneout of the hidden and the cell state, how many sequences a step
    takes at most, and of torch its table of DLPack functions, Tensor, Parameter, Tensor.is_neg and empty_like.
    """

    def __init__(
        self, cell: Sequence[int], widths: Sequence[int], layers: Sequence[Any], form: tuple[bool, bool],
        zoneout: Sequence[float], most: int, torch: tuple[Any, ...], /,
    ) -> None: ...  # fmt: skip
    def step(self, x: Any, state: Any, parameters: Any, batch_first: bool) -> Any:
        """The state after one step, of a stack the outputs beside it; None where it is not plainly right."""

    def sequences(self, x: Any, state: Any, parameters: Any, batch_first: bool, threads: int) -> Any:
        """Outputs and the last state of a stack for inputs of any length; None where they are not plainly right."""

    def networks(self, parameters: Any, joint: Sequence[Any], blank: int) -> Any:
        """A transducer's networks for searches in compiled code, in a capsule; None where they are not plainly
        right."""
