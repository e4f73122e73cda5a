"""The keyword spotter: words found in running speech, measured, saved, refused in sentences."""

from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from carousel.data import Alphabet, DataError
from carousel.decoding import DecodingError, NGram
from carousel.tasks import ESTIMATORS, Detection, KeywordSpotter, Transcriber, load, spot_keywords
from tests.tasks.samples import Series
from tests.tasks.test_streaming import check_same, streamed

SMALL: dict[str, Any] = {"hidden_size": 8, "max_epochs": 2, "random_state": 0}
LEARNS: dict[str, Any] = {"hidden_size": 16, "max_epochs": 25, "batch_size": 8, "random_state": 0}
SOUNDS = {"go": "ab", "stop": "ca", "um": "bc", "er": "cb"}
"""Words as rows of three sounds; two are keywords, two are not."""


def talk(count: int = 40, seed: int = 0) -> tuple[Series, list[str]]:
    """Running texts of 1 to 5 words, and series in which each sound of a word holds for 2 to 3 steps."""
    rng = np.random.default_rng(seed)
    texts = [" ".join(rng.choice(list(SOUNDS), size=int(rng.integers(1, 6)))) for _ in range(count)]
    return [said(text, rng) for text in texts], texts


def said(text: str, rng: np.random.Generator) -> np.ndarray:
    """A text as series: sounds are the first three features, silence is the fourth."""
    steps = [3]
    for word in text.split():
        for sound in SOUNDS[word]:
            steps += ["abc".index(sound)] * int(rng.integers(2, 4))
        steps += [3] * int(rng.integers(1, 3))
    return np.eye(4)[steps] + rng.normal(scale=0.1, size=(len(steps), 4))


def words(texts: list[str]) -> list[list[str]]:
    return [[word for word in text.split() if word in ("go", "stop")] for text in texts]


@pytest.fixture(scope="module")
def learned() -> KeywordSpotter:
    X, y = talk(150)
    return KeywordSpotter(keywords=["go", "stop"], **LEARNS).fit(X, y)


def test_it_learns(learned: KeywordSpotter) -> None:
    X, y = talk(60, seed=1)
    found = learned.evaluate(X, y)
    assert found["accuracy"] == learned.score(X, y) > 0.9
    assert found["recall"] > 0.9 and found["precision"] > 0.9 and found["exact"] > 0.8
    assert "figure_of_merit" not in found, "these frames have no time, so there is no hour to count false alarms in"
    assert learned.alphabet_ == Alphabet(("go", "stop"), separator=" ")


def test_a_keyword_is_found_where_it_is(learned: KeywordSpotter) -> None:
    (found,) = learned.spot([said("um go er stop um", np.random.default_rng(0))])
    assert [own.keyword for own in found] == ["go", "stop"]
    first, second = found
    assert 4 <= first.start < first.end <= second.start + 1 and second.end <= 30
    assert first.unit == "frames" and 0.5 <= first.confidence <= 1
    assert isinstance(first, Detection)


def test_predictions_are_what_is_spotted(learned: KeywordSpotter) -> None:
    X, _ = talk(20, seed=2)
    spotted = learned.spot(X)
    assert learned.predict(X) == [" ".join(own.keyword for own in one) for one in spotted]
    for one, other in zip(learned.transcribe(X), spotted, strict=True):
        assert [(own.start, own.end) for own in one.symbols] == [(own.start, own.end) for own in other]
        assert one.log_probability <= 0


def test_lists_of_keywords_and_running_texts_teach_the_same(learned: KeywordSpotter) -> None:
    X, y = talk(150)
    listed = KeywordSpotter(**LEARNS).fit(X, words(y))
    assert listed.alphabet_ == learned.alphabet_
    assert listed.history_[-1]["loss"] == learned.history_[-1]["loss"]
    assert listed.evaluate(X, y) == learned.evaluate(X, words(y))


def test_a_lower_threshold_finds_no_less(learned: KeywordSpotter) -> None:
    X, y = talk(60, seed=3)
    noisy = [series + np.random.default_rng(0).normal(scale=0.5, size=series.shape) for series in X]
    present = [
        {(place, own.keyword) for place, one in enumerate(learned.spot(noisy, threshold)) for own in one}
        for threshold in (0.9, 0.5, 0.1, 0.02)
    ]
    assert present[0] < present[1] < present[2] <= present[3]
    assert all(own.confidence >= 0.9 for one in learned.spot(noisy, 0.9) for own in one)
    points = learned.tradeoff(noisy, y, (0.1, 0.5, 0.9))
    assert [point.threshold for point in points] == [0.1, 0.5, 0.9]
    assert points[0].recall >= points[1].recall > points[2].recall
    assert points[0].precision < points[2].precision


def test_the_threshold_is_a_parameter_of_predictions(learned: KeywordSpotter) -> None:
    X, y = talk(40, seed=3)
    noisy = [series + np.random.default_rng(0).normal(scale=0.5, size=series.shape) for series in X]
    before = learned.keyword_counts(noisy, y)
    copy = _with(learned, threshold=0.95)
    after = copy.keyword_counts(noisy, y)
    assert set(before) == {"go", "stop"} == set(after)
    for word in before:
        assert after[word].found < before[word].found and after[word].said == before[word].said
    assert copy.spot(noisy) == learned.spot(noisy, 0.95)
    (point,) = learned.tradeoff(noisy, y, (0.95,))
    assert point.recall == copy.evaluate(noisy, y)["recall"]


def _with(fitted: KeywordSpotter, **changed: Any) -> KeywordSpotter:
    copy = KeywordSpotter(**{**fitted.get_params(), **changed})
    vars(copy).update({name: value for name, value in vars(fitted).items() if name.endswith("_")})
    return copy


def test_the_likeliest_row_of_keywords(learned: KeywordSpotter) -> None:
    X, y = talk(40, seed=4)
    assert _with(learned, decoder="best_path").score(X, y) > 0.9
    never = NGram.estimate([["go", "go"]] * 20 + [["stop"]], order=2)
    led = _with(learned, decoder="prefix_beam", language_model=never, decoder_options={"weight": 30.0})
    assert sum(map(len, led._listed(led.predict(X)))) < sum(map(len, learned._listed(learned.predict(X))))
    with pytest.raises(ValueError, match="'threshold' hears no language model"):
        KeywordSpotter(**SMALL, language_model=never).fit(X, y)


def test_a_loaded_spotter_hears_the_same(learned: KeywordSpotter, tmp_path: Path) -> None:
    X, y = talk(10, seed=5)
    learned.save(tmp_path / "run")
    loaded = load(tmp_path / "run")
    assert type(loaded) is KeywordSpotter is ESTIMATORS["KeywordSpotter"]
    assert loaded.get_params() == learned.get_params() | {"bidirectional": True}
    assert loaded.spot(X, 0.2) == learned.spot(X, 0.2)
    assert loaded.evaluate(X, y) == learned.evaluate(X, y)
    copy: Any = clone(loaded)
    assert copy.get_params() == loaded.get_params()


def tones(text: str, rate: int = 8000) -> np.ndarray:
    """ "go" is a low tone, "um" a high one, a fifth of a second each, with as much silence around."""
    time = np.arange(rate // 5) / rate
    pitch = {"go": 400, "um": 1700}
    parts = [np.sin(2 * np.pi * pitch.get(own, 0) * time) / 4 for word in text.split() for own in ("", word)]
    sound = np.concatenate([*parts, 0 * time])
    return sound + np.random.default_rng(len(text)).normal(scale=0.002, size=len(sound))


@pytest.fixture(scope="module")
def listener() -> KeywordSpotter:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(["go", "um"], size=int(rng.integers(1, 4)))) for _ in range(60)]
    options = {**LEARNS, "dropout": 0.0, "bidirectional": False}
    speech = {"rate": 8000, "bands": 8, "deltas": 0}
    model = KeywordSpotter(keywords=["go"], frontend="speech", frontend_options=speech, **options)
    return model.fit([tones(text) for text in texts], texts)


def test_sound_is_spotted_in_seconds(listener: KeywordSpotter) -> None:
    (found,) = listener.spot([tones("um go um")])
    assert [own.keyword for own in found] == ["go"] and found[0].unit == "seconds"
    assert 0.5 < found[0].start < found[0].end < 1.1, "the tone lies from 0.6 to 0.8 seconds"


def test_false_alarms_are_counted_by_the_hour(listener: KeywordSpotter) -> None:
    X = [tones("um go"), tones("um um")]
    found = listener.evaluate(X, ["um go", "um um"])
    assert found["false_alarms"] == 0 and found["figure_of_merit"] == 1
    hours = sum(len(own) for own in listener.log_probabilities(X)) * 0.01 / 3600
    assert np.isnan(listener.evaluate(X, ["um", "um"])["accuracy"]), "where no keyword was said, no share is right"
    missed = listener.evaluate(X, ["um um", "go"])
    assert missed["false_alarms"] == pytest.approx(1 / hours) and missed["figure_of_merit"] == 0


def test_bad_audio_is_refused(listener: KeywordSpotter, tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    broken = tones("go")
    broken[7] = np.nan
    with pytest.raises(DataError) as caught:
        listener.spot([tones("go"), tmp_path / "empty.wav", broken, np.zeros(3)])
    for sentence in (
        "sample 1: ",
        "empty.wav is empty",
        "sample 2: the signal holds NaN",
        "sample 3: the signal lasts",
    ):
        assert sentence in str(caught.value)


def test_words_that_were_never_trained_are_spotted_by_their_spelling() -> None:
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list(SOUNDS), size=int(rng.integers(1, 5)))) for _ in range(150)]
    X = [said(text, rng) for text in texts]
    sounds = [[sound for word in text.split() for sound in SOUNDS[word]] for text in texts]
    model = Transcriber(**LEARNS).fit(X, sounds)
    new = [said("um stop er", rng), said("um er", rng)]
    found = spot_keywords(model, new, {"stop": "ca"}, gap=3)
    assert [own.keyword for own in found[0]] == ["stop"] and found[1] == []
    assert 4 <= found[0][0].start < found[0][0].end <= 16
    apart = [np.concatenate([said("um", rng), said("", rng), said("", rng), said("go", rng)])]
    assert [[len(own) for own in spot_keywords(model, apart, ["ca"], gap=gap)] for gap in (3, 20)] == [[0], [1]]
    with pytest.raises(DecodingError, match="dictionary has 'z'"):
        spot_keywords(model, new, ["z"])


def test_keywords_in_texts() -> None:
    X, _ = talk(4)
    y = ["Go, stop!", "stop-go GO", "gone", "thank you, go"]
    fold = Alphabet(("go", "stop", "thank you"), separator=", ", case="fold")
    model = KeywordSpotter(alphabet=fold, **SMALL).fit(X, y)
    assert model._texts(y) == [["go", "stop"], ["stop", "go", "go"], [], ["thank you", "go"]]
    several = KeywordSpotter(keywords=["thank you", "go"], **SMALL).fit(X, y)
    assert several.alphabet_ == Alphabet(("thank you", "go"), separator=", ")
    assert several._texts(y)[3] == ["thank you", "go"] and several._texts(y)[0] == []
    every = KeywordSpotter(**SMALL).fit(X, ["a b", "b, c", "it's", ""])
    assert every.alphabet_.symbols == ("a", "b", "c", "it's")


@pytest.mark.parametrize(
    ("options", "y", "sentence"),
    [
        ({"keywords": ["go", "left"]}, ["go", "go"], "no recording holds 'left'"),
        ({"keywords": []}, ["go", "go"], "no keyword to learn"),
        ({}, [[], []], "no keyword to learn"),
        ({"keywords": ["go"]}, [["go"], ["halt"]], "sample 1 has 'halt'"),
        ({"keywords": ["go", "go"]}, ["go", "go"], "more than once"),
        ({"keywords": ["go"], "alphabet": Alphabet(("go",), separator=" ")}, ["go", "go"], "and not both"),
        ({"alphabet": "abc"}, ["go", "go"], "and not both"),
        ({"alphabet": Alphabet(("go",))}, ["go", "go"], "has no separator"),
        ({"threshold": 1.0}, ["go", "go"], "threshold is 1.0"),
        ({"threshold": 0}, ["go", "go"], "threshold is 0"),
        ({"decoder": "ear"}, ["go", "go"], "decoder is 'ear'"),
        ({"keywords": "go"}, ["go", "go"], "keywords is 'go'; it takes a list or a tuple or None"),
        ({}, "go", "y is one text"),
        ({"method": "dekf"}, ["go", "go"], "aligned"),
        ({"head": "transducer"}, ["go", "go"], "head is 'transducer'"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, Any], y: Any, sentence: str) -> None:
    X = [np.zeros((9, 4))] * 2
    with pytest.raises((ValueError, TypeError), match=sentence):
        KeywordSpotter(**{**SMALL, **options}).fit(X, y)


def test_a_stream_ends_with_what_the_whole_gives() -> None:
    X, texts = talk(60)
    options = {**LEARNS, "bidirectional": False, "hidden_size": 24, "max_epochs": 40}
    fitted = KeywordSpotter(keywords=["go", "stop"], **options).fit(X, texts)
    X, noise = talk(6, seed=1)[0], np.random.default_rng(0)
    X = [series + noise.normal(scale=0.5, size=series.shape) for series in X]
    heard = []
    for changed in ({"threshold": 0.05}, {}, {"threshold": 0.99}, {"decoder": "best_path"}):
        model = _with(fitted, **changed)
        heard.append(sum(len(own.symbols) for own in model.transcribe(X)))
        for series, size in product(X, (1, 3, 10, 1000)):
            check_same(streamed(model, series, size), model.transcribe([series])[0])
    assert heard[0] > heard[1] > heard[2] > 0 and heard[3] > 5


def test_before_it_is_fitted() -> None:
    model = KeywordSpotter(keywords=["go"])
    for question in (model.spot, model.predict):
        with pytest.raises(NotFittedError):
            question([np.zeros((9, 4))])
    for question in (model.score, model.evaluate, model.tradeoff, model.keyword_counts):
        with pytest.raises(NotFittedError):
            question([np.zeros((9, 4))], ["go"])
