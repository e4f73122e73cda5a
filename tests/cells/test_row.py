"""The C++ header of the table says what `encode` says."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from carousel.cells import SQUASHES, VARIANTS, row
from carousel.cells.row import encode, header


@pytest.fixture(scope="module")
def enums() -> dict[str, list[str]]:
    found = re.findall(r"enum class (\w+) : int \{ (.+) \};", header())
    return {name: values.split(", ") for name, values in found}


def _numbers(text: str, enums: dict[str, list[str]]) -> list[int]:
    """The integers of a row as the header writes it."""
    tokens = re.findall(r"(\w+)::(\w+)|\b(\d+|true|false)\b", text)
    plain = {"false": 0, "true": 1, "1": 1}
    return [enums[enum].index(name) if enum else plain[word] for enum, name, word in tokens]


def test_each_row_is_written_as_it_is_encoded(enums: dict[str, list[str]]) -> None:
    rows = re.findall(r"^    \{  // (.+)\n((?:        .+\n)+)    \},$", header(), re.MULTILINE)
    written = {name: _numbers(text, enums) for names, text in rows for name in names.split(", ")}
    assert written == {name: encode(cell) for name, cell in VARIANTS.items()}


def test_the_enumerations_keep_the_order_of_the_tables(enums: dict[str, list[str]]) -> None:
    assert enums["Squash"] == list(SQUASHES)
    assert enums["Kind"] == ["gate", "open", "complement"]


def test_a_row_under_two_names_is_written_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(VARIANTS, "again", replace(VARIANTS["lstm"], source="gers2001"))
    assert "    {  // lstm, again\n" in header()


def test_the_header_needs_nothing_but_python() -> None:
    """CMake runs this module while the package is built, where nothing is installed."""
    script = (
        "import sys, runpy; sys.path[:0] = sys.argv[1:]; runpy.run_module('carousel.cells.row', run_name='__main__')"
    )
    source = str(Path(row.__file__).parents[2])
    command = [sys.executable, "-I", "-S", "-W", "error", "-c", script, source]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == header()
