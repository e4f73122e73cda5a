"""Runs that are stopped, killed, out of disk, and gone on with."""

import errno
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from carousel import load
from carousel.training import BPTT, Evolution
from tests.cli.calls import Call, names

LONG = ("--hidden-size", "4", "--max-epochs", "12", "--out", "r")
KILLED = """
import os, signal
from carousel.cli import main
from carousel.training import BPTT, Evolution
update, done = BPTT.update, []
def deadly(self, model, batch):
    done.append(1)
    if len(done) == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    return update(self, model, batch)
BPTT.update = deadly
main()
"""


def at_update(monkeypatch: pytest.MonkeyPatch, number: int, act: Any) -> None:
    """Call `act` in the middle of that update."""
    update, done = BPTT.update, []

    def watched(self: BPTT, model: Any, batch: Any) -> float:
        done.append(number)
        if len(done) == number:
            act()
        return update(self, model, batch)

    monkeypatch.setattr(BPTT, "update", watched)


def weights(run: str) -> bytes:
    return Path(run, "model.safetensors").read_bytes()


@pytest.fixture
def undisturbed(call: Call, classes: Path) -> bytes:
    """The weights of a run that nothing stopped."""
    assert call("fit", "classify", classes, *LONG[:-1], "whole").exit_code == 0
    return weights("whole")


def test_ctrl_c_keeps_what_was_learned_and_the_run_goes_on_exactly(
    call: Call, classes: Path, here: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        at_update(patch, 5, lambda: signal.raise_signal(signal.SIGINT))
        stopped = call("fit", "classify", classes, *LONG)
    assert stopped.exit_code == 130
    assert "stopped: in epoch 5 of 12; what was learned is saved in r, --resume goes on from there" in stopped.stderr
    assert load("r").hidden_size == 4
    assert "checkpoint.safetensors" in names(here / "r")
    gone_on = call("fit", "classify", "--out", "r", "--resume")
    assert gone_on.exit_code == 0, gone_on.stderr
    assert weights("r") == undisturbed
    assert "checkpoint.safetensors" not in names(here / "r")


def test_a_second_ctrl_c_stops_at_once(call: Call, classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def twice() -> None:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background is begun without
    at_update(monkeypatch, 3, twice)
    assert call("fit", "classify", classes, *LONG).exit_code == 130
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_before_anything_was_learned_leaves_nothing(
    call: Call, classes: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(BPTT, "update", interrupt)
    assert call("fit", "classify", classes, *LONG).exit_code == 130
    assert not (here / "r").exists()


def test_a_killed_run_goes_on(call: Call, classes: Path, undisturbed: bytes) -> None:
    command = [sys.executable, "-c", KILLED, "fit", "classify", str(classes), *LONG]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    assert call("fit", "classify", classes, "--out", "r", "--resume").exit_code == 0
    assert weights("r") == undisturbed


def full_disk(path: Any, *_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device", str(path))


def test_a_full_disk_in_training_is_said_and_the_run_goes_on(
    call: Call, classes: Path, here: Path, undisturbed: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        at_update(patch, 5, lambda: signal.raise_signal(signal.SIGINT))
        assert call("fit", "classify", classes, *LONG).exit_code == 130
    before = names(here / "r")
    with monkeypatch.context() as patch:
        patch.setattr("carousel.training.checkpoint.write_atomically", full_disk)
        found = call("fit", "classify", "--out", "r", "--resume")
    assert found.exit_code == 1
    assert "the previous checkpoint is kept. Free some space" in found.stderr
    assert "checkpoint r/checkpoint.safetensors (0.0 MB) cannot be written: No space left on device" in found.stderr
    assert names(here / "r") == before
    assert call("fit", "classify", "--out", "r", "--resume").exit_code == 0
    assert weights("r") == undisturbed


def test_a_full_disk_at_the_first_checkpoint_leaves_no_run(
    call: Call, classes: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("carousel.training.checkpoint.write_atomically", full_disk)
    assert call("fit", "classify", classes, *LONG).exit_code == 1
    assert not (here / "r").exists()


def test_a_full_disk_at_the_report_keeps_the_model(
    call: Call, classes: Path, monkeypatch: pytest.MonkeyPatch, undisturbed: bytes
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("carousel.cli.findings.write", lambda findings, path: full_disk(path))
        found = call("fit", "classify", classes, *LONG)
    assert found.exit_code == 1
    assert "the disk is full while writing r/report.html" in found.stderr
    assert weights("r") == undisturbed
    assert call("fit", "classify", "--out", "r", "--resume").exit_code == 0
    assert Path("r/report.html").is_file()


def test_a_full_disk_at_a_prediction_leaves_no_file(
    call: Call, classes: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("fit", "classify", classes, *LONG).exit_code == 0
    before = names(here)
    monkeypatch.setattr("carousel.data.atomic.os.fsync", lambda number: full_disk("p.csv"))
    assert call("predict", "r", classes, "-o", "p.csv").exit_code == 1
    assert names(here) == before


@pytest.mark.parametrize("kilobytes", [8, 40, 200])
def test_a_disk_that_is_really_full(call: Call, classes: Path, here: Path, kilobytes: int) -> None:
    disk = here / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(disk)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("no right to mount a small file system here; the other tests raise the error by hand")
    try:
        found = call("fit", "classify", classes, *LONG[:-1], disk / "r")
        assert found.exit_code == 1
        assert "space" in found.stderr
        assert found.stderr.count("\n") == 1
        left = [path.name for path in disk.rglob("*")]
        assert not [name for name in left if name.endswith(".part")]
        assert not left or "checkpoint.safetensors" in left
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_resuming_needs_a_run_that_is_not_finished(call: Call, classes: Path) -> None:
    assert "--resume: there is no run in r" in call("fit", "classify", classes, "--out", "r", "--resume").stderr
    assert call("fit", "classify", classes, *LONG).exit_code == 0
    found = call("fit", "classify", classes, "--out", "r", "--resume")
    assert found.exit_code == 2
    assert "the run in r is finished" in found.stderr
    assert "--resume takes the settings from the run: name it by --out" in call("fit", "classify", "--resume").stderr
    both = call("fit", "classify", classes, "--out", "r", "--resume", "--force")
    assert "take one of them" in both.stderr


def test_resuming_with_other_settings_is_refused(call: Call, classes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        at_update(patch, 3, lambda: signal.raise_signal(signal.SIGINT))
        assert call("fit", "classify", classes, *LONG).exit_code == 130
    found = call("fit", "classify", classes, "--out", "r", "--resume", "--hidden-size", "8")
    assert found.exit_code == 2
    assert "hidden_size is 4 there and 8 here" in found.stderr


def test_training_that_diverges_leaves_no_run(call: Call, classes: Path, here: Path) -> None:
    found = call("fit", "classify", classes, *LONG, "--learning-rate", "1e38", "--set", "method_options.optimizer=sgd")
    assert found.exit_code == 1
    assert "lower the learning rate" in found.stderr
    assert not (here / "r").exists()


def test_other_workers_may_go_on_with_a_run(
    call: Call, classes: Path, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--method", "evolution", "--set", "method_options.population=8", "--set", "method_options.chunk=4")
    begun = ("fit", "classify", classes, *LONG[:-2], *options, "--set", "method_options.workers=2", "--out")
    assert call(*begun, "whole").exit_code == 0
    tell, done = Evolution.measures, []

    def stopped(self: Evolution) -> dict[str, float]:
        done.append(len(done))
        if len(done) == 3:
            signal.raise_signal(signal.SIGINT)
        return tell(self)

    with monkeypatch.context() as patch:
        patch.setattr(Evolution, "measures", stopped)
        assert call(*begun, "r").exit_code == 130
    again = ("fit", "classify", "--out", "r", "--resume", "--set")
    other = call(*again, "method_options.population=9")
    assert other.exit_code == 2 and "'population': 8" in other.stderr
    gone_on = call(*again, "method_options.workers=1")
    assert gone_on.exit_code == 0, gone_on.stderr
    assert weights("r") == weights("whole")
