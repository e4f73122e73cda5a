"""The same sources on a processor with other vectors: 64-bit ARM, compiled without a warning and run by an emulator."""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from carousel.cells import find, row
from carousel.cells.squash import SQUASHES
from carousel.ops.cpu import CPU, call, extension
from carousel.testing import Problem, check
from tests.ops.cpu.accuracy import Array, Real, check_errors, points
from tests.ops.cpu.extension import EVERYTHING, agree, from_inputs, leaves, needs_extension

TOOLS = {"aarch64-linux-gnu-g++": "g++-aarch64-linux-gnu", "qemu-aarch64": "qemu-user"}
MISSING = [package for tool, package in TOOLS.items() if not shutil.which(tool)]
pytestmark = [
    needs_extension,
    pytest.mark.skipif(
        bool(MISSING) and not os.environ.get("CI"), reason=f"to try ARM here, install {' and '.join(MISSING)}"
    ),
]

HERE, KERNELS = Path(__file__).parent, Path(extension.__file__).parent
NAMES = ("target", "online_target", "population_target", "transducer_target", "dispatch", "threads")
SOURCES = [HERE / "arm.cpp", *(KERNELS / f"{name}.cpp" for name in NAMES)]
FLAGS = [
    "-std=gnu++20", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-fno-math-errno", "-fno-trapping-math",
    "-ffp-contract=fast", "-DCAROUSEL_TARGET=baseline", f"-I{KERNELS}",
]  # fmt: skip
PLAIN = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
"""The environment without the sanitizers of `make sanitize`, which are not for other programs."""

FUNCTIONS = ("forward", "backward", "squash")
BLOCK, PROJECTION, NORM = 17, 19, 20
"""Places in an encoded cell."""


class Emulator:
    """The kernels for ARM: one process a call."""

    def __init__(self, program: Path) -> None:
        self._command = ["qemu-aarch64", "-L", "/usr/aarch64-linux-gnu", str(program)]
        self.compiled = True

    def squash(self, name: str, x: Array) -> Array:
        """One squashing function of all numbers."""
        numbers = [FUNCTIONS.index("squash"), int(x.dtype == np.float64), list(SQUASHES).index(name)]
        return np.frombuffer(self._run(numbers, [x.tobytes()]), x.dtype)

    def enter(self, entered: call.Call, function: str, tensors: Mapping[str, Tensor], flags: int) -> None:
        """What `Call.enter` does, there: dense copies of all tensors go out and come back."""
        cell = row.encode(entered.cell)
        options = cell[BLOCK], cell[PROJECTION], cell[NORM]
        cell[BLOCK], cell[PROJECTION], cell[NORM] = 1, 0, 0
        place = extension.module.ROWS.index(cell)
        kind, flags = call.KINDS[entered.dtype], flags | (call.REVERSE if entered.reverse else 0)
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
        strides = chain(*(call._strides(tensors[n]) if n in tensors else (0, 0) for n in extension.module.STRIDED))
        numbers = [
            FUNCTIONS.index(function), kind, place, *options, place if self.compiled else -1, *entered.sizes, flags, 2,
            *strides,
        ]  # fmt: skip
        given = [tensors.get(name) for name in extension.module.POINTERS]
        back = self._run(numbers, [b"" if t is None else t.detach().numpy().tobytes() for t in given])
        at = 0
        for tensor in filter(torch.is_tensor, given):
            ctypes.memmove(tensor.data_ptr(), back[at : at + tensor.nbytes], tensor.nbytes)
            at += tensor.nbytes

    def _run(self, numbers: Iterable[int], tensors: Iterable[bytes]) -> bytes:
        parts = [np.array([*numbers], np.int64).tobytes()]
        parts += chain(*((np.int64(len(tensor)).tobytes(), tensor) for tensor in tensors))
        done = subprocess.run(self._command, input=b"".join(parts), capture_output=True, check=False, env=PLAIN)
        assert done.returncode == 0, f"the program ended with {done.returncode}: {done.stderr.decode()}"
        return done.stdout


def build(compiler: list[str], folder: Path, *options: str) -> None:
    """Compile all sources in one command; a warning is an error."""
    (folder / "cells.h").write_text(row.header(), "utf-8")
    command = [*compiler, *FLAGS, f"-I{folder}", *options, *map(str, SOURCES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=PLAIN)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("arm")
    build(["aarch64-linux-gnu-g++"], folder, "-Wl,--no-as-needed", "-fopenmp", "-o", "kernels")
    return folder / "kernels"


@pytest.fixture
def arm(program: Path, monkeypatch: pytest.MonkeyPatch) -> Emulator:
    """All loops run there."""
    emulator = Emulator(program)

    def enter(entered: call.Call, function: str, tensors: Mapping[str, Tensor], flags: int) -> None:
        emulator.enter(entered, function, tensors, flags)

    monkeypatch.setattr(call.Call, "enter", enter)
    return emulator


def test_clang_compiles_it_too(tmp_path: Path) -> None:
    if not shutil.which("clang++"):
        pytest.skip("no clang++ on this machine; install the package clang to compile with it too")
    build(["clang++", "--target=aarch64-linux-gnu"], tmp_path, "-fsyntax-only")


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vector_functions(arm: Emulator, dtype: Real) -> None:
    for squash in SQUASHES:
        check_errors(squash, arm.squash(squash, points(dtype)))


@pytest.mark.parametrize("compiled", [True, False], ids=["compiled in", "asked while it runs"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_every_cell(arm: Emulator, dtype: torch.dtype, compiled: bool) -> None:
    arm.compiled = compiled
    assert {found.refused for found in check(CPU(), problems=[EVERYTHING], dtype=dtype)} == {None}


@pytest.mark.usefixtures("arm")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_large_enough_for_every_tile(dtype: torch.dtype) -> None:
    cell = find("peephole")
    given = from_inputs(cell, leaves(Problem("large", 4, 37, 0, 75, ragged=True).operands(cell, dtype=dtype)), 70)
    agree(cell, given, atol=1e-3 if dtype is torch.float32 else 1e-10)
