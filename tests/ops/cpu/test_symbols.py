"""Code for one instruction set never stands in for another's.

Of a function that several objects hold, the linker keeps one: if that is the copy for AVX-512, an older machine stops
at it. So the functions that an instruction set's object shows the linker all lie in a namespace of their own.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

BUILD = Path(__file__).parents[3] / "build/kernels/CMakeFiles"
OBJECTS = {
    (path.relative_to(BUILD).parts[0].removesuffix(".dir"), path.name): path
    for path in BUILD.glob("*.dir/**/*target.cpp.o")
}
FUNCTIONS = "TWw"
"""How nm marks functions that the linker may choose, or may not find twice."""


@pytest.mark.skipif(
    not (OBJECTS and shutil.which("nm")) and not os.environ.get("CI"),
    reason="needs nm and the kernels' objects: `make install` leaves them in build/kernels",
)
@pytest.mark.parametrize("name", OBJECTS or [("none", "")], ids="-".join)
def test_functions_of_an_instruction_set_are_its_own(name: tuple[str, str]) -> None:
    command = ["nm", "--demangle", "--defined-only", OBJECTS[name]]
    lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
    symbols = [line.split(maxsplit=2)[1:] for line in lines]
    functions = [symbol for kind, symbol in symbols if kind in FUNCTIONS]
    assert functions
    assert [symbol for symbol in functions if f"carousel::{name[0]}::" not in symbol] == []
