"""Checkpoints: whole or refused, and only for the run that they belong to."""

import errno
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn

from carousel.training import BPTT, CheckpointError, Plan, fit
from carousel.training.checkpoint import Checkpoint, read_checkpoint
from tests.training.problem import Scripted, Summer, batches, summer, timeless, train, weights

VALIDATION = batches(9, seed=1, shuffle=False)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "checkpoint.safetensors"


@pytest.fixture
def written(path: Path) -> Path:
    """A checkpoint of a run stopped in its third epoch."""
    stop_at(15, summer(dropout=0.2), path)
    return path


def stop_at(update: int, model: Summer, path: Path) -> None:
    for report in fit(model, batches(), BPTT(), Plan(4, checkpoint=path), validation=VALIDATION):
        if report.update == update:
            break


def resume(path: Path, plan: Plan | None = None, method: BPTT | None = None, model: Summer | None = None) -> None:
    plan = replace(plan or Plan(4), checkpoint=path)
    list(fit(model or summer(dropout=0.2), batches(), method or BPTT(), plan, validation=VALIDATION))


@contextmanager
def full_disk() -> Iterator[None]:
    """No file can grow beyond two kilobytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2048, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_tensors_and_values_come_back_as_they_were(path: Path) -> None:
    tensors = {
        "model.a": torch.randn(2, 3).T,
        "model.b": torch.tensor(3.5, dtype=torch.bfloat16),
        "random.cpu": torch.get_rng_state(),
        "best.empty": torch.zeros(0, 2),
    }
    values: dict[str, Any] = {"loss": 0.1 + 0.2, "stopped": None, "nested": [{"ü": 1}]}
    Checkpoint(tensors, {"plan": 1}, {"epoch": 2}, values).write(path)
    found = read_checkpoint(path)
    assert found.tensors.keys() == tensors.keys()
    assert all(torch.equal(found.tensors[name], tensors[name]) for name in tensors)
    assert (found.identity, found.progress, found.method) == ({"plan": 1}, {"epoch": 2}, values)
    assert found.group("model").keys() == {"a", "b"}


def test_it_is_one_plain_file_that_others_can_read(written: Path) -> None:
    assert [entry.name for entry in written.parent.iterdir()] == [written.name]
    assert "model.readout.weight" in load_file(written)
    with safe_open(written, "pt") as file:
        assert json.loads(file.metadata()["carousel-checkpoint"])["progress"]["epoch"] == 2


def test_a_closed_run_goes_on_where_it_was_closed(path: Path) -> None:
    whole, parts = summer(dropout=0.2), summer(dropout=0.2)
    expected = list(fit(whole, batches(), BPTT(), Plan(4), validation=VALIDATION))[-1]
    for update in (1, 6, 7, 15):
        stop_at(update, parts, path)
        parts = summer(dropout=0.2)
    last = list(fit(parts, batches(), BPTT(), Plan(4, checkpoint=path), validation=VALIDATION))
    assert last[0].update == 16
    assert weights(parts) == weights(whole)
    assert timeless(last[-1].history) == timeless(expected.history)
    assert last[-1].seconds > expected.history[0]["seconds"]


def test_a_finished_run_gives_its_weights_and_its_last_report_again(path: Path) -> None:
    model, again = summer(), summer()
    first = train(model, Plan(2, checkpoint=path), validate=True)
    reports = list(fit(again, batches(), BPTT(learning_rate=0.02), Plan(2, checkpoint=path), validation=VALIDATION))
    assert len(reports) == 1
    assert reports[0] == first
    assert weights(again) == weights(model)


def test_tied_weights_and_half_finished_accumulation_resume(path: Path) -> None:
    def tied() -> Summer:
        model = summer(dropout=0.2)
        model.lstm.weight_hh_l1 = model.lstm.weight_hh_l0
        return model

    method = BPTT(accumulate=4, optimizer="sgd", optimizer_options={"momentum": 0.9}, schedule="one_cycle")
    whole = tied()
    list(fit(whole, batches(), method, Plan(2)))
    for update in (2, 7, 9):
        for report in fit(tied(), batches(), method, Plan(2, checkpoint=path)):
            if report.update == update:
                break
    resumed = tied()
    list(fit(resumed, batches(), method, Plan(2, checkpoint=path)))
    assert weights(resumed) == weights(whole)


def test_it_is_written_every_so_many_updates_and_at_the_end(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(Checkpoint, "write", lambda self, _: seen.append(self.method["done"]))
    list(fit(summer(), batches(), Scripted(), Plan(3, checkpoint=path, checkpoint_updates=4)))
    assert seen == [4, 8, 12, 16, 18]


def test_it_is_written_after_so_many_seconds(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    monkeypatch.setattr(Checkpoint, "write", lambda self, _: seen.append(self.method["done"]))
    list(fit(summer(), batches(), Scripted(), Plan(1, checkpoint=path, checkpoint_seconds=0)))
    list(fit(summer(), batches(), Scripted(), Plan(1, checkpoint=path, checkpoint_seconds=1e9)))
    assert seen == [1, 2, 3, 4, 5, 6, 6]


def test_a_run_stopped_at_its_last_report_writes_no_second_checkpoint(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(Checkpoint, "write", lambda self, _: seen.append(self.method["done"]))
    for report in fit(summer(), batches(), Scripted(), Plan(1, checkpoint=path)):
        if report.stopped:
            break
    assert seen == [6]


def test_the_best_weights_outlive_the_process(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    losses = iter((1.0, 2.0, 3.0))
    monkeypatch.setattr("carousel.training.run.validation_loss", lambda *_: next(losses))
    plan, model = Plan(3, checkpoint=path), summer()
    for report in fit(summer(), batches(), Scripted(), plan, validation=VALIDATION):
        if report.update == 8:
            break
    list(fit(model, batches(), Scripted(), plan, validation=VALIDATION))
    assert next(model.parameters()).unique().tolist() == [6]


@pytest.mark.parametrize("keep", [0, 5, 100, 3000, -1])
def test_a_truncated_checkpoint_is_refused(written: Path, keep: int) -> None:
    written.write_bytes(written.read_bytes()[:keep])
    with pytest.raises(
        CheckpointError, match=r"checkpoint.safetensors is not a readable checkpoint.*; delete it to st"
    ):
        resume(written)


@pytest.mark.parametrize("place", [0.2, 0.5, 0.999])
def test_a_changed_checkpoint_is_refused(written: Path, place: float) -> None:
    content = bytearray(written.read_bytes())
    content[int(place * len(content))] ^= 1
    written.write_bytes(content)
    with pytest.raises(CheckpointError, match="was changed after it was written|is not a readable checkpoint"):
        resume(written)


def test_changed_values_are_refused(written: Path) -> None:
    content = written.read_bytes()
    assert content.count(b'\\"batch\\": 3') == 1
    written.write_bytes(content.replace(b'\\"batch\\": 3', b'\\"batch\\": 4'))
    with pytest.raises(CheckpointError, match="was changed after it was written"):
        resume(written)


def test_a_foreign_file_is_refused(path: Path) -> None:
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(CheckpointError, match="is a safetensors file, but no training checkpoint; choose another file"):
        resume(path)
    path.write_text("a,b\n1,2\n", encoding="utf-8")
    with pytest.raises(CheckpointError, match="is not a readable checkpoint"):
        resume(path)


def rewritten(path: Path, **facts: Any) -> None:
    """Write a checkpoint with a right checksum and these facts instead of its own."""
    found = read_checkpoint(path)
    Checkpoint(found.tensors, **{"identity": found.identity, "progress": {}, "method": {}, **facts}).write(path)


PLACES = ["model.readout.weight", "best.readout.weight", "random.cpu", "method.optimizer.0.exp_avg"]


@pytest.mark.parametrize("name", PLACES)
def test_crafted_tensors_are_refused(written: Path, name: str) -> None:
    found = read_checkpoint(written)
    found.tensors[name] = torch.zeros(3, 3)
    found.write(written)
    model = summer(dropout=0.2)
    with pytest.raises(CheckpointError, match="does not fit this run"):
        resume(written, model=model)
    assert weights(model) == weights(summer())


@pytest.mark.parametrize(
    "facts",
    [
        {"progress": {"surprise": 2}},
        {"progress": {"epoch": "1"}},
        {"progress": {"batch": -1}},
        {"progress": {"epoch": 2}},
        {"progress": {"history": [3], "epoch": 1}},
        {"method": {"optimizer": {"x": {}}}},
        {"method": {}},
        {"progress": [1, 2]},
        {"method": None},
    ],
)
def test_crafted_facts_are_refused(written: Path, facts: dict[str, Any]) -> None:
    rewritten(written, **facts)
    with pytest.raises(CheckpointError, match="does not (fit this run|hold what a checkpoint holds)"):
        resume(written)


def test_a_newer_format_is_refused(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = read_checkpoint(written)
    with monkeypatch.context() as newer:
        newer.setattr("carousel.training.checkpoint.FORMAT", 2)
        found.write(written)
    with pytest.raises(CheckpointError, match="has format 2 of a newer carousel; this one reads format 1"):
        resume(written)


def test_deep_json_is_refused(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as crafted:
        crafted.setattr("carousel.training.checkpoint.json.dumps", lambda _: "[" * 200_000)
        rewritten(written)
    with pytest.raises(CheckpointError, match="does not hold what a checkpoint holds"):
        resume(written)


def test_the_checkpoint_of_another_run_is_refused_with_what_differs(written: Path) -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"plan": Plan(5)}, "plan epochs is 5, there 4"),
        ({"plan": Plan(4, seed=1)}, "plan seed is 1, there 0"),
        ({"plan": Plan(4, patience=3)}, "plan patience is 3, there null"),
        ({"method": BPTT(learning_rate=0.5)}, "method learning_rate is 0.5, there 0.001"),
        ({"model": summer(dropout=0.5)}, r"model 2 is .*dropout=0.5.*, there .*dropout=0.2"),
        (
            {"model": summer(dropout=0.2, dtype=torch.float64)},
            r"weights lstm.weight_ih_l0 is .*float64 .*; and \d+ more",
        ),
    ]
    for case, message in cases:
        with pytest.raises(CheckpointError, match=f"is the checkpoint of another run: {message}.*delete it to start"):
            resume(written, **case)


def test_the_checkpoint_of_other_data_is_refused(written: Path) -> None:
    with pytest.raises(CheckpointError, match="training data first epoch is"):
        list(fit(summer(0.2), batches(seed=5), BPTT(), Plan(4, checkpoint=written), validation=VALIDATION))
    target = np.array(batches().target)
    target[batches().order(0)[-1]] += 1
    changed = replace(batches(), target=target)
    with pytest.raises(CheckpointError, match="training data first epoch is"):
        list(fit(summer(0.2), changed, BPTT(), Plan(4, checkpoint=written), validation=VALIDATION))
    with pytest.raises(CheckpointError, match="validation data is null"):
        list(fit(summer(0.2), batches(), BPTT(), Plan(4, checkpoint=written)))
    with pytest.raises(CheckpointError, match="method name is .*scripted.*there .*bptt"):
        list(fit(summer(0.2), batches(), Scripted(), Plan(4, checkpoint=written), validation=VALIDATION))


def test_a_refused_checkpoint_leaves_the_model_alone(written: Path) -> None:
    model = summer(dropout=0.2)
    before = weights(model)
    with pytest.raises(CheckpointError):
        resume(written, plan=Plan(5), model=model)
    assert weights(model) == before


def test_a_missing_folder_is_named_before_training(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="the folder of checkpoint .*nowhere.* does not exist; create it first"):
        fit(summer(), batches(), BPTT(), Plan(1, checkpoint=tmp_path / "nowhere" / "c.safetensors"))


def test_a_full_disk_keeps_the_old_checkpoint_and_what_was_learned(written: Path) -> None:
    before, model = written.read_bytes(), summer(dropout=0.2)
    plan = Plan(4, checkpoint=written, checkpoint_updates=2, keep_best=True)
    message = r"checkpoint .* \(0.0 MB\) cannot be written: .*; the previous checkpoint is kept. Free some space"
    with full_disk(), pytest.raises(OSError, match=message) as caught:
        list(fit(model, batches(), BPTT(), plan, validation=VALIDATION))
    assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert written.read_bytes() == before
    assert [entry.name for entry in written.parent.iterdir()] == [written.name]
    assert weights(model) != weights(summer())
    resume(written)


def test_a_full_disk_without_a_checkpoint_says_so(path: Path) -> None:
    with full_disk(), pytest.raises(OSError, match=r"cannot be written: [^;]*\. Free some space"):
        list(fit(summer(), batches(), BPTT(), Plan(4, checkpoint=path, checkpoint_updates=2)))
    assert not list(path.parent.iterdir())


def test_a_model_state_that_is_no_tensor_is_named(path: Path) -> None:
    class Odd(Summer):
        def get_extra_state(self) -> dict[str, int]:
            return {"count": 1}

        def set_extra_state(self, state: Any) -> None: ...

    with pytest.raises(TypeError, match="the model's state '_extra_state' is a dict; a checkpoint holds tensors only"):
        fit(Odd(), batches(), BPTT(), Plan(1, checkpoint=path))
    list(fit(Odd(), batches(), BPTT(), Plan(1), validation=VALIDATION))


def test_nothing_is_written_unless_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    list(fit(summer(), batches(), BPTT(), Plan(1)))
    assert not list(tmp_path.iterdir())


def test_buffers_are_part_of_the_model(path: Path) -> None:
    class Normalised(Summer):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(5)

        def forward(self, batch: Any) -> torch.Tensor:
            return self.readout(self.norm(self.lstm(batch.inputs)[0][-1]))[:, 0]

    def made() -> Summer:
        torch.manual_seed(1)
        return Normalised()

    whole, resumed = made(), made()
    list(fit(whole, batches(), BPTT(), Plan(2)))
    for report in fit(made(), batches(), BPTT(), Plan(2, checkpoint=path)):
        if report.update == 8:
            break
    list(fit(resumed, batches(), BPTT(), Plan(2, checkpoint=path)))
    assert weights(resumed) == weights(whole)
