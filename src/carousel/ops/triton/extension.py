"""Whether Triton is there, and whether it interprets its kernels on the processor."""

import os
from functools import cache
from importlib.util import find_spec
from typing import Any

MISSING = "Triton is not installed: it comes with torch for CUDA, or with `pip install 'carousel-lstm[triton]'`"


@cache
def missing() -> str | None:
    """Why there are no kernels, in a sentence; None if there are."""
    return None if find_spec("triton") else MISSING


def interprets() -> bool:
    """Whether Triton interprets them, slowly and on any device: TRITON_INTERPRET=1 before the first import."""
    return os.environ.get("TRITON_INTERPRET") == "1"


def launch(
    kernel: Any, tiles: tuple[int, int], *arguments: Any, warps: int = 4, stages: int = 3, at_once: bool = False
) -> None:  # fmt: skip
    """Run a kernel for each tile: of units, of sequences; each by so many warps, which read so many stages ahead.

    `at_once`: fail rather than run some programs after others, for which these would wait.
    """
    kernel[tiles](*arguments, num_warps=warps, num_stages=stages, launch_cooperative_grid=at_once)
