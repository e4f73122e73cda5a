"""What a person sees while training goes on: a bar on a terminal, nothing elsewhere."""

import io
import os
import pty
from pathlib import Path

import pytest
from rich.console import Console

from tests.cli.calls import QUICK, Call


def read_all(terminal: int) -> str:
    """What was written to a terminal until its last writer closed it."""
    found = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            return found.decode()
        if not part:
            return found.decode()
        found += part


def test_a_terminal_sees_epoch_loss_and_time_left(process: Call, classes: Path) -> None:
    ours, theirs = pty.openpty()
    running = process("fit", "classify", classes, *QUICK, stderr=theirs, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    shown = read_all(ours)
    os.close(ours)
    result = running.communicate()[0]
    assert running.returncode == 0
    assert "epoch 2/2" in shown
    assert "loss " in shown
    assert "left" in shown
    assert "left" not in result


@pytest.mark.parametrize(("words", "shown"), [((), 1), (("--json",), 0), (("--quiet",), 0)])
def test_json_and_quiet_show_no_bar(
    call: Call, classes: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], shown: int
) -> None:
    bars: list[Console] = []
    monkeypatch.setattr("carousel.cli.progress._is_watched", lambda: True)
    monkeypatch.setattr("carousel.cli.progress.console", lambda stderr: bars.append(Console(file=io.StringIO())))
    assert call("fit", "classify", classes, *words, *QUICK).exit_code == 0
    assert len(bars) == shown
