"""The command itself: help, version, quick starts, and calls that make no sense."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from carousel.cli.app import Root
from tests.cli.calls import Call

GOLDEN = Path(__file__).parent.parent / "golden" / "help.txt"
LIGHT = "import sys; from carousel.cli import main\ntry: main()\nexcept SystemExit: print('torch' in sys.modules)"


def test_the_help_is_golden(process: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERMINAL_WIDTH", "100")
    found = process("--help").communicate()[0]
    found = "".join(f"{line.rstrip()}\n" for line in found.splitlines())
    if os.environ.get("CAROUSEL_WRITE_GOLDEN"):
        GOLDEN.write_text(found, encoding="utf-8")
    assert GOLDEN.read_text(encoding="utf-8") == found, "the help changed; if you mean it: make golden"


def test_without_words_it_shows_its_help(call: Call) -> None:
    found = call()
    assert found.exit_code == 0
    assert "carousel" in found.stdout
    assert "evaluate" in found.stdout


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["cells"], ["bogus"]])
def test_what_needs_no_torch_imports_none(words: list[str], here: Path) -> None:
    found = subprocess.run([sys.executable, "-c", LIGHT, *words], capture_output=True, text=True, check=True)
    assert found.stdout.splitlines()[-1] == "False", found.stderr


def test_the_version_is_that_of_the_package(call: Call) -> None:
    import carousel

    assert call("--version").stdout == f"carousel {carousel.__version__}\n"


def test_it_runs_as_a_module(process: Call) -> None:
    assert process("--version").communicate()[0].startswith("carousel ")


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("bogus", "error: No such command 'bogus'; see `carousel --help`"),
        ("cells --bogus", "error: No such option: --bogus; see `carousel cells --help`"),
        ("fit", "error: Missing command; see `carousel fit --help`"),
        ("fit nix", "there is no task 'nix'; there are classify, regress, label, transcribe, spot, forecast, control"),
        ("predict", "error: Missing argument 'run'; see `carousel predict --help`"),
        ("fit classify", "error: there is no data: name a file or folder behind `fit classify`"),
    ],
)
def test_a_call_without_sense_is_answered_in_one_line(call: Call, words: str, sentence: str) -> None:
    found = call(*words.split())
    assert found.exit_code == 2
    assert sentence in found.stderr
    assert found.stderr.count("\n") == 1


def test_a_fault_of_ours_is_said_and_traced_on_demand(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault(*_: object, **__: object) -> None:
        raise KeyError("lost")

    monkeypatch.setattr("carousel.cli.cells.overview", fault)
    found = call("cells")
    assert (found.exit_code, found.stderr) == (
        1,
        "error: KeyError: 'lost'; this is a fault of carousel, --debug shows where\n",
    )
    assert "Traceback" in call("cells", "--debug").stderr


def test_ctrl_c_ends_with_130(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Root, "invoke", interrupt)
    assert call("cells").exit_code == 130
