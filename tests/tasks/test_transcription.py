"""The transcriber: texts that nobody aligned, learned, decoded, placed in time, saved, and refused in sentences."""

import copy
import json
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import cross_val_score

from carousel.data import Alphabet, DataError, InkFrontend, SpeechFrontend, as_sequences
from carousel.data.audio import AudioWarning, read_audio
from carousel.decoding import NGram
from carousel.metrics import edit_distance
from carousel.tasks import ModelFileError, Transcriber, load
from tests.tasks.samples import Series

SMALL: dict[str, Any] = {"hidden_size": 8, "max_epochs": 2, "random_state": 0}
LEARNS: dict[str, Any] = {"hidden_size": 16, "max_epochs": 20, "random_state": 0}


def spoken(count: int = 40, letters: str = "abc", seed: int = 0) -> tuple[Series, list[str]]:
    """Texts, and series in which each letter holds for 2 to 4 steps before 1 or 2 steps of silence."""
    rng = np.random.default_rng(seed)
    texts = ["".join(rng.choice(list(letters), size=int(rng.integers(1, 5)))) for _ in range(count)]
    return [said(text, letters, rng) for text in texts], texts


def said(text: str, letters: str, rng: np.random.Generator) -> np.ndarray:
    heard: list[int] = []
    for letter in text:
        heard += [letters.index(letter)] * int(rng.integers(2, 5)) + [len(letters)] * int(rng.integers(1, 3))
    return np.eye(len(letters) + 1)[heard] + rng.normal(scale=0.2, size=(len(heard), len(letters) + 1))


@pytest.fixture(scope="module")
def learned() -> Transcriber:
    return Transcriber(**LEARNS).fit(*spoken(150))


def tones(texts: list[str], rate: int = 8000) -> list[np.ndarray]:
    """Sound in which "a" is a low tone and "b" a high one, a quarter of a second each, with silence between."""
    rng, time = np.random.default_rng(0), np.arange(rate // 4) / rate
    tone = {"a": np.sin(2 * np.pi * 400 * time) / 4, "b": np.sin(2 * np.pi * 1700 * time) / 4, "": 0 * time}
    parts = [[tone[own] for letter in text for own in ("", letter)] + [tone[""]] for text in texts]
    return [np.concatenate(own) + rng.normal(scale=0.002, size=len(own) * len(time)) for own in parts]


SPEECH: dict[str, Any] = {"rate": 8000, "bands": 8, "deltas": 0}


@pytest.fixture(scope="module")
def listener() -> Transcriber:
    _, texts = spoken(60, "ab")
    options = {**LEARNS, "dropout": 0.0, "batch_size": 6, "bidirectional": False}
    return Transcriber(frontend="speech", frontend_options=SPEECH, **options).fit(tones(texts), texts)


def test_it_learns(learned: Transcriber) -> None:
    X, y = spoken(50, seed=1)
    assert learned.score(X, y) > 0.95
    assert learned.alphabet_ == Alphabet(("a", "b", "c"))
    assert learned.evaluate(X, y)["exact"] > 0.85


def test_the_score_is_one_minus_the_character_error_rate(learned: Transcriber) -> None:
    X, _ = spoken(20, seed=1)
    y = ["ab"] * 20
    wrong = sum(edit_distance("ab", found) for found in learned.predict(X))
    assert learned.score(X, y) == pytest.approx(1 - wrong / 40)
    rate = learned.error_rates(X, y)["cer"]
    assert rate.errors == wrong and rate.low < rate.rate < rate.high


def test_what_the_alphabet_does_not_have_counts_as_an_error(learned: Transcriber) -> None:
    X, y = spoken(20, seed=1)
    found = learned.predict(X)
    assert learned.evaluate(X, [text + "z" for text in found])["cer"] == pytest.approx(
        20 / sum(len(t) + 1 for t in found)
    )
    assert learned.evaluate(X, y)["cer"] < 0.1


def test_words_are_counted_where_there_are_spaces() -> None:
    X, y = spoken(letters="ab ")
    rates = Transcriber(**SMALL).fit(X, y).error_rates(X, y)
    assert sorted(rates) == ["cer", "wer"]


def test_the_beam_gives_several_readings(learned: Transcriber) -> None:
    X, _ = spoken(5, seed=1)
    beam = clone_fitted(learned, decoder="prefix_beam", beam=10)
    best = beam.predict_n_best(X, 3)
    assert [own[0].text for own in best] == beam.predict(X)
    assert all(len(own) == 3 and own[0].score >= own[1].score >= own[2].score for own in best)
    assert [
        own[0].log_probability >= found.log_probability for own, found in zip(best, learned.transcribe(X), strict=True)
    ]
    with pytest.raises(ValueError, match="'best_path' has one reading"):
        learned.predict_n_best(X)


def clone_fitted(fitted: Transcriber, **changed: Any) -> Transcriber:
    copy = Transcriber(**{**fitted.get_params(), **changed})
    vars(copy).update({name: value for name, value in vars(fitted).items() if name.endswith("_")})
    return copy


def test_a_language_model_decides(learned: Transcriber, tmp_path: Path) -> None:
    X, _ = spoken(20, seed=1)
    model = NGram.estimate([list("aaaa")] * 5 + [list("b")], order=2)
    model.write(tmp_path / "model.arpa")
    options = {"decoder": "prefix_beam", "decoder_options": {"weight": 20.0}}
    plain = clone_fitted(learned, decoder="prefix_beam").predict(X)
    led = clone_fitted(learned, language_model=model, **options).predict(X)
    assert "".join(led).count("c") < "".join(plain).count("c")
    assert clone_fitted(learned, language_model=str(tmp_path / "model.arpa"), **options).predict(X) == led


@pytest.mark.parametrize(
    "options", [{"language_model": NGram.estimate([["a"]], 1)}, {"decoder_options": {"bonus": 1.0}}]
)
def test_the_best_path_hears_no_language_model(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="hears no language model"):
        Transcriber(**SMALL, **options).fit(*spoken())


def test_symbols_have_places(learned: Transcriber) -> None:
    rng = np.random.default_rng(0)
    (found,) = learned.transcribe([said("ab", "abc", rng)])
    assert found.text == "ab" and found.unit == "frames"
    assert [symbol.symbol for symbol in found.symbols] == ["a", "b"]
    first, second = found.symbols
    assert 0 <= first.start < first.end <= second.start < second.end
    assert 0.5 < first.confidence <= 1


def test_sound_is_placed_in_seconds(listener: Transcriber) -> None:
    (found,) = listener.transcribe(tones(["ba"]))
    assert found.text == "ba" and found.unit == "seconds"
    low, high = found.symbols[1], found.symbols[0]
    assert 0.2 < high.start < 0.6 and 0.6 < low.start < 1.1, "tones lie from 0.25 to 0.5 and from 0.75 to 1 seconds"


def test_sound_files_are_read_and_converted(listener: Transcriber, tmp_path: Path) -> None:
    from scipy.io import wavfile

    (sound,) = tones(["ab"], rate=16_000)
    wavfile.write(tmp_path / "ab.wav", 16_000, (sound * 32767).astype(np.int16))
    with pytest.warns(AudioWarning, match="converted from 16000 to 8000"):
        (found,) = listener.log_probabilities([tmp_path / "ab.wav"])
    converted = read_audio(tmp_path / "ab.wav", rate=8000, quiet=True)
    np.testing.assert_array_equal(found, listener.log_probabilities([converted])[0])
    assert len(found) == SpeechFrontend(**SPEECH).frames(1.25)


def test_signals_that_cannot_be_read_are_listed(listener: Transcriber, tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    with pytest.raises(DataError) as caught:
        listener.predict([tones(["a"])[0], tmp_path / "empty.wav", np.zeros(3)])
    assert "sample 1: " in str(caught.value) and "empty.wav is empty" in str(caught.value)
    assert "sample 2: the signal lasts" in str(caught.value)
    with pytest.raises(DataError, match="X is empty"):
        listener.predict([])


def test_features_are_taken_in_place_of_signals(listener: Transcriber, learned: Transcriber) -> None:
    X = tones(["ab", "b"])
    made = Transcriber(frontend="speech", frontend_options=SPEECH).features(X)
    assert made.features == SpeechFrontend(**SPEECH).names
    assert listener.transcribe(made) == listener.transcribe(X)
    with pytest.raises(DataError, match="other features than those of the front end"):
        listener.predict(as_sequences(X))
    with pytest.raises(ValueError, match="there is no front end"):
        learned.features(X)


def test_ink_has_a_front_end_too() -> None:
    rng = np.random.default_rng(0)
    X = [[rng.normal(size=(12, 2)).cumsum(0)] for _ in range(10)]
    fitted = Transcriber(frontend=InkFrontend(spacing=None), **SMALL).fit(X, ["a", "b"] * 5)
    assert list(fitted.feature_names_in_) == list(InkFrontend().names)
    assert fitted.transcribe(X)[0].unit == "frames"


def test_what_is_traced_is_what_the_outputs_are_made_of() -> None:
    X, y = spoken(12)
    fitted = Transcriber(num_layers=2, **SMALL).fit(X, y)
    head = copy.deepcopy(fitted.network_.head).double()
    for layers, outputs in zip(fitted.trace(X), fitted.log_probabilities(X), strict=True):
        assert [{*layer} for layer in layers] == 4 * [{"input", "forget", "candidate", "output", "cell", "hidden"}]
        hidden = torch.tensor(np.concatenate([layer["hidden"] for layer in layers[-2:]], axis=1))
        np.testing.assert_allclose(head(hidden[:, None])[:, 0].detach(), outputs, atol=1e-12)
    with pytest.raises(NotFittedError):
        Transcriber().trace(X)


def test_samples_with_too_few_frames_are_listed_before_training() -> None:
    X, y = spoken()
    X[3], y[3] = X[3][:3], "aab"
    X[7], y[7] = X[7][:1], "ab"
    estimator = Transcriber(**SMALL)
    with pytest.raises(DataError) as caught:
        estimator.fit(X, y)
    assert "sample 3: 3 frames, 4 needed" in str(caught.value)
    assert "sample 7: 1 frames, 2 needed" in str(caught.value)
    assert not hasattr(estimator, "network_")


def test_texts_that_cannot_be_spelt_are_listed() -> None:
    X, y = spoken()
    y[2], y[5] = "x", "y"
    with pytest.raises(DataError) as caught:
        Transcriber(alphabet="abc", **SMALL).fit(X, y)
    assert "sample 2 has 'x'" in str(caught.value) and "sample 5 has 'y'" in str(caught.value)


@pytest.mark.parametrize(
    ("y", "words"),
    [
        ("ab", "y is one text"),
        ([1, 2], "y of sample 0 is 1"),
        (["a", None], "y of sample 1 is None"),
        (["a", ["b", 3]], "y of sample 1 is"),
        (["a"], "y has 1 entries for 2 series"),
        (["", ""], "all texts are empty"),
        (["ab", ["sh", "a"]], "make them all of one kind"),
        ([["a b", "cd"], ["a"]], "holds the separator"),
    ],
)
def test_targets_that_are_no_texts(y: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Transcriber(**SMALL).fit([np.zeros((9, 2))] * 2, y)


def test_an_empty_text_is_a_text() -> None:
    X, y = spoken()
    y[0] = ""
    assert len(Transcriber(**SMALL).fit(X, y).predict(X)) == 40


def test_lists_of_symbols() -> None:
    X, texts = spoken(60)
    names = {"a": "aa", "b": "sh", "c": "t"}
    y = [[names[letter] for letter in text] for text in texts]
    fitted = Transcriber(**LEARNS, batch_size=8).fit(X, y)
    assert fitted.alphabet_ == Alphabet(("aa", "sh", "t"), separator=" ")
    assert fitted.score(X, y) == fitted.score(X, [" ".join(own) for own in y]) > 0.8
    assert {symbol for text in fitted.predict(X) for symbol in text.split()} <= {"aa", "sh", "t"}
    assert Transcriber(**SMALL).fit(X, [list(text) for text in texts]).alphabet_.separator is None


def test_truths_are_normalised_as_the_alphabet_does(learned: Transcriber) -> None:
    X, y = spoken()
    fitted = Transcriber(alphabet=Alphabet(("a", "b", "c"), case="lower"), **SMALL).fit(X, [text.upper() for text in y])
    assert fitted.evaluate(X, y) == fitted.evaluate(X, [text.upper() for text in y])


@pytest.mark.parametrize("blank", [0, 3])
def test_the_blank_may_be_any_label(blank: int) -> None:
    X, y = spoken(80)
    alphabet = Alphabet(("a", "b", "c"), blank=blank)
    assert Transcriber(alphabet=alphabet, batch_size=8, **LEARNS).fit(X, y).score(X, y) > 0.8


def test_a_sample_does_not_depend_on_its_batch(learned: Transcriber, monkeypatch: pytest.MonkeyPatch) -> None:
    X, _ = spoken(20, seed=1)
    together = learned.log_probabilities(X)
    assert [len(own) for own in together] == [len(one) for one in X]
    monkeypatch.setattr("carousel.tasks.transcription.PREDICTION_BATCH", 3)
    for one, other in zip(learned.log_probabilities(X), together, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


EVERYTHING: dict[str, Any] = {
    "frontend": SpeechFrontend(rate=8000, bands=8, deltas=0),
    "alphabet": Alphabet(("a", "b"), case="lower"),
    "decoder": "prefix_beam",
    "language_model": NGram.estimate([list("ab"), list("ba")], order=2),
    "decoder_options": {"weight": 0.5},
    "buckets": 2,
}


@pytest.fixture(scope="module")
def everything() -> Transcriber:
    texts = ["a", "ab", "ba", "b"]
    return Transcriber(**SMALL, **EVERYTHING).fit(tones(texts), texts)


def test_a_loaded_transcriber_says_the_same(everything: Transcriber, tmp_path: Path) -> None:
    everything.save(tmp_path / "run")
    loaded, X = load(tmp_path / "run"), tones(["ab", "b"])
    assert loaded.get_params() == everything.get_params() | {"bidirectional": True}
    assert loaded.transcribe(X) == everything.transcribe(X)
    assert loaded.predict_n_best(X, 3) == everything.predict_n_best(X, 3)
    assert loaded.alphabet_ == everything.alphabet_ and loaded.history_ == everything.history_


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("preprocessing.json", '"b"', '"a"'),
        ("preprocessing.json", '"blank": 0', '"blank": 9'),
        ("config.json", '"kind": "speech"', '"kind": "os"'),
        ("config.json", '"bands": 8', '"bands": 9'),
        ("config.json", '"$ngram": [', '"$ngram": [[], '),
        ("config.json", '"$ngram"', '"$other"'),
    ],
)
def test_what_was_tampered_with_is_refused(
    file: str, old: str, new: str, everything: Transcriber, tmp_path: Path
) -> None:
    everything.save(tmp_path / "run")
    path = tmp_path / "run" / file
    content = path.read_text(encoding="utf-8")
    assert old in content
    path.write_text(content.replace(old, new), encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8"))
    with pytest.raises(ModelFileError):
        load(tmp_path / "run")


def test_scikit_learns_ways(everything: Transcriber, tmp_path: Path) -> None:
    X, y = spoken()
    copy: Any = clone(everything)
    assert copy.get_params() == everything.get_params()
    assert len(cross_val_score(Transcriber(**SMALL), X, y, cv=2)) == 2
    joblib.dump(everything, tmp_path / "model.joblib")
    sound = tones(["ab"])
    assert joblib.load(tmp_path / "model.joblib").transcribe(sound) == everything.transcribe(sound)
    for question in (Transcriber().predict, Transcriber().transcribe, Transcriber().log_probabilities):
        with pytest.raises(NotFittedError):
            question(X)
    for question in (Transcriber().score, Transcriber().evaluate, Transcriber().error_rates):
        with pytest.raises(NotFittedError):
            question(X, y)


@pytest.mark.parametrize("method", ["rtrl", "rule1997", "evolution"])
def test_other_methods(method: str) -> None:
    X, y = spoken(10)
    options = {**SMALL, "hidden_size": 3, "bidirectional": False}
    fitted = Transcriber(**options, method=method).fit(X, y)
    assert np.isfinite(fitted.history_[-1]["loss"]) and len(fitted.predict(X)) == 10


@pytest.mark.parametrize("method", ["tbptt", "dekf", "evolino", "ppo", "reinforce"])
def test_methods_that_do_not_fit_are_refused(method: str) -> None:
    X, y = spoken(10)
    with pytest.raises((ValueError, TypeError), match=r"aligned|pieces|act|play"):
        Transcriber(**SMALL, method=method).fit(X, y)


def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    X, y = spoken()
    whole = Transcriber(**SMALL, buckets=2).fit(X, y)
    stopped = Transcriber(**SMALL, buckets=2)
    reports = stopped.fit_reports(X, y, checkpoint=tmp_path / "point")
    next(reports)
    reports.close()
    for _ in stopped.fit_reports(X, y, checkpoint=tmp_path / "point"):
        continue
    for one, other in zip(whole.log_probabilities(X), stopped.log_probabilities(X), strict=True):
        np.testing.assert_array_equal(one, other)
    assert Transcriber(**SMALL).fit(X, y).history_[-1]["loss"] != whole.history_[-1]["loss"], (
        "buckets draw other batches"
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"frontend": "smell"}, "no front end is called 'smell'; there are speech, ink"),
        ({"frontend": "speech", "frontend_options": {"hz": 1}}, "front end 'speech' has no option 'hz'"),
        ({"frontend_options": {"rate": 8000}}, "frontend_options are for a front end by name"),
        ({"decoder": "magic"}, "decoder is 'magic'; it can be"),
        ({"beam": 0}, "beam is 0"),
    ],
)
def test_parameters_that_cannot_be(options: dict[str, Any], words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        Transcriber(**SMALL, **options).fit(*spoken())
