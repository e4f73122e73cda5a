"""A saved estimator comes back the same; a damaged, altered or hostile directory is refused in a sentence."""

import json
import os
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from carousel.cells import Cell, Complement, Gate
from carousel.tasks import ModelFileError, SequenceClassifier, SequenceRegressor, load, persistence
from tests.tasks.samples import SMALL, ragged, step_labels


@pytest.fixture
def run(classifier: SequenceClassifier, tmp_path: Path) -> Path:
    classifier.save(tmp_path / "run")
    return tmp_path / "run"


def edit(path: Path, change: Callable[[Any], None]) -> None:
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def refusal(run: Path) -> str:
    with pytest.raises(ModelFileError) as caught:
        load(run)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("name", ["classifier", "regressor", "labeler"])
def test_a_loaded_estimator_answers_the_same(name: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    estimator: Any = request.getfixturevalue(name)
    estimator.save(tmp_path / "run")
    loaded = load(tmp_path / "run")
    X, _ = ragged(seed=1)
    for expect, got in zip(estimator.predict(X), loaded.predict(X), strict=True):
        np.testing.assert_array_equal(got, expect)
    assert loaded.get_params() == estimator.get_params() | {"bidirectional": True}
    assert loaded.history_ == estimator.history_
    assert type(estimator).load(tmp_path / "run").n_features_in_ == 2


@pytest.mark.parametrize(
    "labels", [[1, 7], [0.0, 1.0], [False, True], ["no", "yes"], np.array(["no", "yes"], dtype=object)], ids=str
)
def test_labels_keep_their_type(labels: Any, tmp_path: Path) -> None:
    X, _ = ragged()
    y = np.asarray(labels)[np.arange(len(X)) % 2]
    estimator = SequenceClassifier(**SMALL).fit(X, y)
    estimator.save(tmp_path / "run")
    assert load(tmp_path / "run").classes_.dtype == estimator.classes_.dtype
    np.testing.assert_array_equal(load(tmp_path / "run").predict(X), estimator.predict(X))


def test_every_kind_of_parameter_comes_back(tmp_path: Path) -> None:
    X, y = ragged()
    own = Cell(input=Gate(peephole="previous"), forget=Complement("input"), squash="identity")
    weights = {"up": 2.0, "down": 1.0}
    lstm_options = {"zoneout": 0.1, "recompute": "auto"}
    options = {"method_options": {"schedule": "cosine"}, "lstm_options": lstm_options, "class_weight": weights}
    estimator = SequenceClassifier(**{**SMALL, **options, "cell": own, "random_state": np.random.RandomState(3)})
    estimator.fit(X, y).save(tmp_path / "run")
    loaded = load(tmp_path / "run")
    assert loaded.get_params() == {**estimator.get_params(), "random_state": None, "bidirectional": True}
    np.testing.assert_array_equal(loaded.predict_proba(X), estimator.predict_proba(X))


def test_frames_keep_their_columns(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    X, y = ragged()
    table = pandas.DataFrame(np.stack([one[:4, 0] for one in X]), columns=list("abcd"))
    SequenceClassifier(**SMALL).fit(table, y).save(tmp_path / "run")
    loaded = load(tmp_path / "run")
    assert list(loaded.feature_names_in_) == list("abcd") and loaded.n_features_in_ == 4
    with pytest.raises(ValueError, match="feature names should match"):
        loaded.predict(table.rename(columns={"a": "z"}))


def test_saving_again_replaces_the_run_and_keeps_other_files(run: Path, regressor: SequenceRegressor) -> None:
    (run / "report.html").write_text("a report")
    regressor.save(run)
    assert isinstance(load(run), SequenceRegressor)
    assert (run / "report.html").read_text() == "a report"
    assert sorted(path.name for path in run.parent.iterdir()) == ["run"]


def test_a_directory_of_other_things_is_left_alone(classifier: SequenceClassifier, tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="it is no run"):
        classifier.save(tmp_path)
    with pytest.raises(FileExistsError, match="is a file"):
        classifier.save(tmp_path / "thesis.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_full_disk_leaves_the_old_run(
    run: Path, regressor: SequenceRegressor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(persistence, "serialised", full)
    with pytest.raises(OSError, match="No space left"):
        regressor.save(run)
    assert isinstance(load(run), SequenceClassifier)
    assert [path.name for path in run.parent.iterdir()] == ["run"]


@pytest.mark.parametrize("step", [0, 1])
def test_a_crash_while_swapping_loses_nothing(
    step: int, run: Path, regressor: SequenceRegressor, monkeypatch: pytest.MonkeyPatch
) -> None:
    renames, rename = iter(range(10)), os.rename

    def crash(old: Any, new: Any) -> None:
        if next(renames) >= step:
            raise KeyboardInterrupt
        rename(old, new)

    monkeypatch.setattr(os, "rename", crash)
    with pytest.raises(KeyboardInterrupt):
        regressor.save(run)
    monkeypatch.undo()
    assert isinstance(load(run), SequenceClassifier)
    regressor.save(run)
    assert isinstance(load(run), SequenceRegressor)
    assert [path.name for path in run.parent.iterdir()] == ["run"]


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    assert "there is no directory" in refusal(tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["config.json", "preprocessing.json", "model.safetensors", "history.json"])
def test_a_missing_file(name: str, run: Path) -> None:
    (run / name).unlink()
    assert f"has no file {name}" in refusal(run)


@pytest.mark.parametrize("name", ["config.json", "preprocessing.json", "model.safetensors", "history.json"])
@pytest.mark.parametrize("share", [0, 0.5, 0.98])
def test_a_truncated_file(name: str, share: float, run: Path) -> None:
    content = (run / name).read_bytes()
    (run / name).write_bytes(content[: int(share * len(content))])
    assert "is damaged" in refusal(run) and name in refusal(run)


@pytest.mark.parametrize("name", ["config.json", "preprocessing.json", "history.json"])
@pytest.mark.parametrize("content", ["[1, 2]", "null", '"text"', "[" * 100_000, '{"a": NaN}', "\x80\x04"], ids=repr)
def test_json_of_another_kind(name: str, content: str, run: Path) -> None:
    (run / name).write_bytes(content.encode("latin-1"))
    assert name in refusal(run)


CONFIGS: dict[str, tuple[Callable[[Any], Any], str]] = {
    "newer": (lambda config: config.update(format=2), "has format 2, this carousel reads up to 1; upgrade carousel"),
    "no version": (lambda config: config.pop("format"), "names no format version"),
    "unknown class": (lambda config: config.update({"class": "os.system"}), "names the class 'os.system'; known are"),
    "class of wrong type": (lambda config: config.update({"class": ["x"]}), "names the class ['x']"),
    "another class": (lambda config: config.update({"class": "SequenceLabeler"}), "disagrees with the parameters"),
    "extra key": (lambda config: config.update(weights="/etc/passwd"), "weights differ"),
    "unknown parameter": (lambda config: config["parameters"].update(hook="x"), "disagrees with the parameters"),
    "missing parameter": (lambda config: config["parameters"].pop("pool"), "disagrees with the parameters"),
    "wrong type": (lambda config: config["parameters"].update(hidden_size="8"), "takes an integer"),
    "negative": (lambda config: config["parameters"].update(hidden_size=-8), "must be 1 or more"),
    "huge layer": (lambda config: config["parameters"].update(hidden_size=10**12), "is too small for the 1 layers"),
    "many layers": (lambda config: config["parameters"].update(num_layers=10**9), "is too small for the 1000000000"),
    "other size": (lambda config: config["parameters"].update(hidden_size=9), "needs (36, 2) and F32"),
    "other pool": (lambda config: config["parameters"].update(pool="attention"), "differs in the tensors pool.score"),
    "unknown cell": (lambda config: config["parameters"].update(cell="gru"), "network that cannot be built"),
    "cell of code": (lambda config: config["parameters"].update(cell={"$cell": ["eval", {}]}), "no part of a cell"),
    "cell with extras": (lambda config: config["parameters"].update(cell={"$cell": ["Cell", {"x": 1}]}), "no cell"),
    "unknown tag": (lambda config: config["parameters"].update(class_weight={"$array": ["O", []]}), "no type of array"),
    "options": (lambda config: config["parameters"].update(lstm_options={"device": "x"}), "cannot be"),
    "size in options": (lambda config: config["parameters"].update(lstm_options={"proj_size": 10**15}), "cannot be"),
}


@pytest.mark.parametrize("case", CONFIGS)
def test_an_altered_config(case: str, run: Path) -> None:
    change, words = CONFIGS[case]
    edit(run / "config.json", change)
    assert words in refusal(run)


LEARNED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "missing": (lambda learned: learned.pop("classes_"), "must hold"),
    "extra": (lambda learned: learned.update(network_="x"), "must hold"),
    "wrong type": (lambda learned: learned.update(channels_="2"), "channels_ is '2'"),
    "one class": (lambda learned: learned["classes_"].update({"$array": ["<U4", ["up"]]}), "at least two"),
    "unsorted": (lambda learned: learned["classes_"].update({"$array": ["<U4", ["up", "down"]]}), "in order"),
    "array of objects": (lambda learned: learned["classes_"].update({"$array": ["object", [[], {}]]}), "cannot be"),
    "huge text": (lambda learned: learned["classes_"].update({"$array": ["<U999999999", ["a", "b"]]}), "cannot be"),
    "odd dtype": (lambda learned: learned["classes_"].update({"$array": ["(9999999,)i8", [1, 2]]}), "cannot be"),
    "scaler width": (lambda learned: learned["input_scaler_"].update({"$scaler": [[0.0], [1.0]]}), "cannot be"),
    "zero spread": (lambda learned: learned["input_scaler_"].update({"$scaler": [[0, 0], [0, 1]]}), "cannot be"),
    "no feature": (lambda learned: learned.update(channels_=0), "cannot be"),
    "more features": (
        lambda learned: learned.update(channels_=3, input_scaler_={"$scaler": [[0] * 3, [1] * 3]}),
        "has lstm.weight_ih_l0 of shape",
    ),
}


@pytest.mark.parametrize("case", LEARNED)
def test_altered_preprocessing(case: str, run: Path) -> None:
    change, words = LEARNED[case]
    edit(run / "preprocessing.json", change)
    assert words in refusal(run)


def test_weights_of_other_names_shapes_types_and_values(run: Path) -> None:
    path = run / "model.safetensors"
    weights = load_file(path)
    save_file({**weights, "extra": torch.zeros(1)}, path)
    assert "differs in the tensors extra" in refusal(run)
    save_file({**weights, "head.bias": torch.zeros(5)}, path)
    assert "has head.bias of shape (5,)" in refusal(run)
    save_file({**weights, "head.bias": weights["head.bias"].double()}, path)
    assert "type F64" in refusal(run)
    save_file({**weights, "head.bias": torch.full((2,), torch.nan)}, path)
    assert "NaN or infinite weights in head.bias" in refusal(run)


@pytest.mark.parametrize("length", [2**63 - 1, 10**9, 0])
def test_a_huge_header(length: int, run: Path) -> None:
    path = run / "model.safetensors"
    path.write_bytes(struct.pack("<Q", length) + path.read_bytes()[8:])
    assert "is damaged" in refusal(run)


def test_a_header_that_points_outside(run: Path) -> None:
    header = json.dumps({"head.bias": {"dtype": "F32", "shape": [2], "data_offsets": [10**9, 10**9 + 8]}}).encode()
    (run / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    assert "is damaged" in refusal(run)


def test_a_pickle_in_place_of_the_weights(run: Path) -> None:
    torch.save({"head.bias": torch.zeros(2)}, run / "model.safetensors")
    assert "is damaged" in refusal(run)


def test_a_very_large_json_file(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(persistence, "LARGEST_JSON", 100)
    assert "more than 100 are not read" in refusal(run)


def test_a_pipe_in_place_of_a_file(run: Path) -> None:
    (run / "config.json").unlink()
    os.mkfifo(run / "config.json")
    assert "has no file config.json" in refusal(run)


def test_the_wrong_class_asks(run: Path) -> None:
    with pytest.raises(ValueError, match="holds a SequenceClassifier, not a SequenceRegressor"):
        SequenceRegressor.load(run)


@pytest.mark.parametrize("device", ["cuda:7", "meta"])
def test_a_device_that_is_not_there_becomes_the_cpu(run: Path, device: str) -> None:
    edit(run / "config.json", lambda config: config["parameters"].update(device=device))
    assert load(run).device == "cpu"


def test_a_run_moved_elsewhere_still_loads(run: Path, classifier: SequenceClassifier, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "else" / "where")
    X, _ = ragged()
    np.testing.assert_array_equal(load(tmp_path / "else" / "where").predict(X), classifier.predict(X))


def test_nothing_that_json_cannot_hold_is_saved(tmp_path: Path) -> None:
    X, _ = ragged()
    estimator = SequenceClassifier(**{**SMALL, "method_options": {"optimizer_options": {"betas": (0.9, 0.99)}}})
    estimator.fit(X, [series.sum() > 0 for series in X])
    estimator.method_options = {"optimizer_options": {"hook": len}}
    with pytest.raises(TypeError, match="method_options holds a builtin_function_or_method, which cannot be saved"):
        estimator.save(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_an_unfitted_labeler_is_not_saved(tmp_path: Path) -> None:
    from carousel.tasks import SequenceLabeler

    with pytest.raises(ValueError, match="not fitted"):
        SequenceLabeler().save(tmp_path / "run")
    assert step_labels(ragged()[0]) and list(tmp_path.iterdir()) == []
