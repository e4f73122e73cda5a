"""The transducer as a transcriber's head, and what a transcriber begins with."""

import shutil
from itertools import product
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch

from carousel.data import IGNORED_LABEL, Batch, DataError
from carousel.decoding import NGram
from carousel.nn import Prediction, pad_labels
from carousel.ops import ShapeError
from carousel.tasks import SequenceRegressor, Transcriber, load
from carousel.tasks.network import as_dtype
from carousel.tasks.pretraining import learn_next_label
from tests.tasks.test_transcription import LEARNS, SMALL, clone_fitted, said, spoken

HEAD: dict[str, Any] = {"head": "transducer", "batch_size": 8}


@pytest.mark.parametrize("head", [{}, HEAD])
def test_only_what_fills_up_is_no_label(head: dict[str, Any]) -> None:
    X, y = spoken(4)
    network: Any = Transcriber(**{**SMALL, "max_epochs": 1, **head}).fit(X, y).network_
    inputs, indices = torch.zeros(3, 1, network.lstm.input_size), torch.arange(1)
    targets = (torch.tensor([[1, last]]) for last in (IGNORED_LABEL, -3))
    good, bad = (Batch(inputs=inputs, indices=indices, target=target) for target in targets)
    assert network.loss(network(good), good).isfinite()
    with pytest.raises(ShapeError, match="label -3 at 1"):
        network.loss(network(bad), bad)


@pytest.fixture(scope="module")
def learned() -> Transcriber:
    return Transcriber(**LEARNS, **HEAD, head_options={"joint": 16}).fit(*spoken(150))


def test_it_learns(learned: Transcriber) -> None:
    X, y = spoken(50, seed=1)
    assert learned.score(X, y) > 0.8
    assert clone_fitted(learned, decoder="prefix_beam", beam=5).score(X, y) > 0.9


def test_the_likeliest_reading_is_what_brute_force_finds(learned: Transcriber) -> None:
    """Of all texts up to three letters, by the loss that training uses, none is likelier than a wide beam's."""
    X, _ = spoken(4, seed=2)
    network: Any = as_dtype(learned.network_, torch.float64)
    letters = [label for label in range(len(learned.alphabet_)) if label != learned.alphabet_.blank]
    texts = [labels for size in range(4) for labels in product(letters, repeat=size)]
    targets, counts = pad_labels(texts)
    wide = clone_fitted(learned, decoder="prefix_beam", beam=100)
    for one, (best, *_) in zip(X, wide.predict_n_best(X, 1), strict=True):
        frames = next(wide._log_probs(wide._read([one]))).unsqueeze(1).expand(-1, len(texts), -1)
        with torch.no_grad():
            losses = network.head.loss(frames, targets, [len(one)] * len(texts), counts, "none")
        if len(best.labels) <= 3:
            assert texts[int(losses.argmin())] == best.labels
            assert best.log_probability == pytest.approx(-float(losses.min()), abs=1e-6)


def test_the_beam_gives_several_readings(learned: Transcriber) -> None:
    X, _ = spoken(5, seed=1)
    beam = clone_fitted(learned, decoder="prefix_beam", beam=5)
    best = beam.predict_n_best(X, 3)
    assert [own[0].text for own in best] == beam.predict(X)
    assert all(own[0].score >= own[1].score >= own[2].score for own in best)
    with pytest.raises(ValueError, match="'best_path' has one reading"):
        learned.predict_n_best(X)


def test_a_language_model_decides(learned: Transcriber) -> None:
    X, _ = spoken(10, seed=1)
    model = NGram.estimate([list("aaaa")] * 5 + [list("b")], order=2)
    options = {"decoder": "prefix_beam", "beam": 5, "decoder_options": {"weight": 20.0}}
    plain = clone_fitted(learned, decoder="prefix_beam", beam=5).predict(X)
    led = clone_fitted(learned, language_model=model, **options).predict(X)
    assert "".join(led).count("c") < "".join(plain).count("c")


def test_symbols_have_places_and_confidences(learned: Transcriber) -> None:
    (found,) = learned.transcribe([said("ab", "abc", np.random.default_rng(0))])
    assert found.text == "ab" and found.unit == "frames"
    first, second = found.symbols
    assert (first.symbol, second.symbol) == ("a", "b")
    assert 0 <= first.start < first.end <= second.start < second.end
    assert 0.3 < first.confidence <= 1


@pytest.mark.parametrize("decoder", ["best_path", "prefix_beam"])
def test_a_loaded_one_says_the_same(learned: Transcriber, tmp_path: Path, decoder: str) -> None:
    given, X = clone_fitted(learned, decoder=decoder, beam=5), spoken(5, seed=1)[0]
    given.save(tmp_path / "run")
    loaded = load(tmp_path / "run")
    assert loaded.get_params() == given.get_params() | {"bidirectional": True}
    assert loaded.transcribe(X) == given.transcribe(X)
    joblib.dump(given, tmp_path / "model.joblib")
    assert joblib.load(tmp_path / "model.joblib").transcribe(X) == given.transcribe(X)


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    X, y = spoken(20)
    options = {**SMALL, **HEAD, "head_options": {"prediction_epochs": 1}}
    whole = Transcriber(**options).fit(X, y)
    reports = Transcriber(**options).fit_reports(X, y, checkpoint=tmp_path / "point")
    next(reports)
    reports.close()
    resumed = Transcriber(**options)
    for _ in resumed.fit_reports(X, y, checkpoint=tmp_path / "point"):
        pass
    assert_same(resumed.network_, whole.network_)


def assert_same(found: torch.nn.Module, expected: torch.nn.Module) -> None:
    for name, weight in expected.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], weight, rtol=0, atol=0, msg=name)


def test_one_frame_holds_several_labels() -> None:
    """What CTC refuses: fewer frames than labels."""
    X, y = [np.zeros((1, 2))] * 4, ["ab"] * 4
    with pytest.raises(DataError, match="1 frames, 2 needed"):
        Transcriber(**SMALL).fit(X, y)
    fitted = Transcriber(**{**LEARNS, "max_epochs": 60}, **HEAD).fit(X, y)
    assert fitted.predict(X[:1]) == ["ab"]


def test_a_transducer_has_no_probabilities_of_frames(learned: Transcriber) -> None:
    with pytest.raises(ValueError, match="no probability of a frame alone"):
        learned.log_probabilities(spoken(1)[0])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"head": "softmax"}, "head is 'softmax'"),
        ({"head_options": {"joint": 3}}, "head_options are for head='transducer'"),
        ({**HEAD, "head_options": {"units": 3}}, "it has hidden, layers, joint, prediction_epochs"),
        ({**HEAD, "head_options": {"joint": 0}}, "joint of a transducer is 0"),
        ({**HEAD, "head_options": {"layers": None}}, "layers of a transducer is None"),
        ({**HEAD, "language_model": NGram.estimate([["a"]], 1)}, "hears no language model"),
        ({**HEAD, "decoder": "prefix_beam", "decoder_options": {"words": "any"}}, "words"),
        ({**HEAD, "decoder": "prefix_beam", "decoder_options": {"beam": 0}}, "beam is 0"),
        ({**HEAD, "method": "rtrl", "bidirectional": False}, "2 recurrent modules"),
        ({**HEAD, "method": "tbptt", "bidirectional": False}, "cuts sequences into pieces"),
    ],
)
def test_options_that_are_refused(options: dict[str, Any], words: str) -> None:
    estimator = Transcriber(**SMALL, **options)
    with pytest.raises((ValueError, TypeError), match=words):
        estimator.fit(*spoken(10))
    assert not hasattr(estimator, "network_")


def test_it_learns_with_noise_on_its_weights() -> None:
    X, y = spoken(10)
    plain, noisy = (
        Transcriber(**SMALL, **HEAD, method_options={"weight_noise": deviation}).fit(X, y) for deviation in (0.0, 0.3)
    )
    assert plain.history_[0]["loss"] != noisy.history_[0]["loss"]
    assert np.isfinite(noisy.history_[-1]["loss"])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    X, y = spoken(60)
    folder = tmp_path_factory.mktemp("runs") / "ctc"
    Transcriber(**{**LEARNS, "max_epochs": 5}, dropout=0.0).fit([3 * one + 1 for one in X], y).save(folder)
    return folder


@pytest.mark.parametrize("head", ["ctc", "transducer"])
def test_it_begins_with_the_layers_of_another_run(run: Path, head: str) -> None:
    """The weights and the scale of inputs are those of the run, though these inputs are scaled in another way."""
    X, y = spoken(60)
    options = {**LEARNS, "max_epochs": 1, "learning_rate": 1e-12}
    begun, source = Transcriber(**options, head=head, pretrained=str(run)).fit(X, y), load(run)
    np.testing.assert_array_equal(begun.input_scaler_.center, source.input_scaler_.center)
    for name, weight in source.network_.lstm.state_dict().items():
        torch.testing.assert_close(begun.network_.lstm.state_dict()[name], weight, rtol=1e-6, atol=1e-6)
    alone = Transcriber(**options, head=head).fit(X, y)
    assert not torch.equal(
        alone.network_.lstm.state_dict()["weight_hh_l0"], source.network_.lstm.state_dict()["weight_hh_l0"]
    )


def test_it_goes_on_with_the_head_of_a_run_that_writes_the_same(run: Path) -> None:
    X, y = spoken(60)
    options = {**LEARNS, "max_epochs": 1, "learning_rate": 1e-12, "pretrained": str(run)}
    source, other = load(run), [text.replace("a", "z") for text in y]
    wanted = source.network_.head.state_dict()
    for texts, same in ((y, True), (other, False)):
        found = Transcriber(**options).fit(X, texts).network_.head.state_dict()
        apart = max((found[name] - wanted[name]).abs().max() for name in wanted)
        assert (apart < 1e-6) == same


def test_a_run_to_begin_with_is_read_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads, read = list[object](), Transcriber.load
    monkeypatch.setattr(Transcriber, "load", lambda path: reads.append(path) or read(path))
    fitted = Transcriber(**{**LEARNS, "max_epochs": 1}, pretrained=str(run)).fit(*spoken(20))
    assert reads == [str(run)]
    assert not [name for name in vars(fitted) if name.startswith("_")]


def test_what_began_so_can_be_saved_and_read_without_the_run(run: Path, tmp_path: Path) -> None:
    X, y = spoken(20)
    there = shutil.copytree(run, tmp_path / "ctc")
    begun = Transcriber(**{**LEARNS, "max_epochs": 1}, **HEAD, pretrained=str(there)).fit(X, y)
    begun.save(tmp_path / "begun")
    shutil.rmtree(there)
    assert load(tmp_path / "begun").predict(X) == begun.predict(X)
    with pytest.raises(ValueError, match="there is no directory"):
        Transcriber(**{**LEARNS, "max_epochs": 1}, **HEAD, pretrained=str(there)).fit(X, y)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"hidden_size": 9}, r"bias_hh_l0 is \(64,\), here it is \(36,\)"),
        ({"num_layers": 2}, "bias_hh_l1 is not there, here"),
        ({"bidirectional": False}, "here it is not there"),
        ({"cell": "peephole"}, "another cell"),
    ],
)
def test_layers_that_do_not_fit_are_refused(run: Path, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Transcriber(**{**LEARNS, **options}, **HEAD, pretrained=str(run)).fit(*spoken(10))


def test_other_features_are_refused(run: Path, tmp_path: Path) -> None:
    X, y = spoken(10)
    with pytest.raises(ValueError, match="reads 4 features a frame, and X has 3"):
        Transcriber(**LEARNS, **HEAD, pretrained=str(run)).fit([one[:, :3] for one in X], y)
    with pytest.raises(ValueError, match="made with normalize='all', here it is 'sample'"):
        Transcriber(**LEARNS, **HEAD, pretrained=str(run), normalize="sample").fit(X, y)
    SequenceRegressor(hidden_size=2, max_epochs=1).fit(np.zeros((4, 3, 1)), [0.0, 1, 2, 3]).save(tmp_path / "other")
    with pytest.raises(ValueError, match="holds a SequenceRegressor"):
        Transcriber(**LEARNS, pretrained=str(tmp_path / "other")).fit(X, y)


def test_the_prediction_network_learns_what_comes_next() -> None:
    """In texts "abcabc…" each label says the next one."""
    texts = np.repeat([[1, 2, 3] * 4, [1, 2, 3] * 3 + [IGNORED_LABEL] * 3], 10, axis=0)
    torch.manual_seed(0)
    first, last = (learn_next_label(Prediction(4, 8), texts, epochs, 4) for epochs in (1, 100))
    assert first > 10 and last < 2, "the end is one of two, log 2 nats; all else is sure"


def test_a_transducer_begins_with_what_the_texts_say() -> None:
    X, y = spoken(40)
    nets = [Transcriber(**SMALL, **HEAD, head_options={"prediction_epochs": epochs}) for epochs in (0, 5)]
    for net in nets:
        net.set_params(learning_rate=1e-12).fit(X, y)
    plain, taught = (net.network_.state_dict() for net in nets)
    for name, weight in plain.items():
        assert ("prediction" in name) != torch.allclose(taught[name], weight, atol=1e-6), name
