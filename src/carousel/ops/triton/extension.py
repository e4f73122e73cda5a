"""Whether Triton is there, and whether it interprets its kernels on the processor."""

import os
import re
from contextlib import AbstractContextManager
from functools import cache
from importlib.util import find_spec
from typing import Any

import torch

MISSING = "Triton is not installed: it comes with torch for CUDA, or with `pip install 'carousel-lstm[triton]'`"


OLDEST = (3, 6)
"""The first version of Triton whose functions can take apart what they are given as these kernels do."""


@cache
def missing() -> str | None:
    """Why there are no kernels, in a sentence; None if there are."""
    if not find_spec("triton"):
        return MISSING
    import triton  # pyright: ignore[reportMissingImports]

    return too_old(triton.__version__)


def too_old(version: str) -> str | None:
    """Why the kernels cannot be compiled by that version of Triton; None if they can."""
    found = re.match(r"(\d+)\.(\d+)", version)
    if found and tuple(map(int, found.groups())) >= OLDEST:
        return None
    return f"its kernels need Triton {'.'.join(map(str, OLDEST))} or newer, which torch 2.10 brings; this is {version}"


def on_device_of(tensor: torch.Tensor) -> AbstractContextManager[None]:
    """Launches inside go to the graphics processor where the tensor lies, if there are several."""
    return torch.cuda.device_of(tensor)


def interprets() -> bool:
    """Whether Triton interprets them, slowly and on any device: TRITON_INTERPRET=1 before the first import."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def launch(
    kernel: Any, tiles: tuple[int, int], *arguments: Any, warps: int = 4, stages: int = 3, at_once: bool = False
) -> Any:  # fmt: skip
    """Run a kernel for each tile: of sequences, of units; each by so many warps, which read so many stages ahead.

    `at_once`: fail rather than run some programs after others, for which these would wait. Returns the kernel as it was
    compiled; None where it was interpreted.
    """
    return kernel[tiles](*arguments, num_warps=warps, num_stages=stages, launch_cooperative_grid=at_once)


class Launches:
    """The launches of a loop over time: from a kernel's third on, Triton does not look at what it is given.

    To look takes several times as long as to launch. The caller sees to it that a kernel's grid, options and kinds of
    arguments (dtypes, constants, whether they lie at a multiple of 16 bytes) stay as they were at its second launch;
    the first may differ, since it reads a state from outside.
    """

    def __init__(self) -> None:
        self._made: dict[Any, list[Any]] = {}

    def __call__(self, kernel: Any, tiles: tuple[int, int], *arguments: Any, **options: Any) -> None:
        """Launch the kernel once more, as `launch` does."""
        made = self._made.setdefault(kernel, [])
        if len(made) > 1 and made[1] is not None:
            made[1][(*tiles, 1)](*arguments)
        else:
            made.append(launch(kernel, tiles, *arguments, **options))
