"""Features by speaker: what differs from one to the next is taken out, and strangers are said."""

import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carousel.data import DataError, Sequences, as_sequences
from carousel.tasks import ModelFileError, SpeakerWarning, Transcriber, load
from tests.tasks.samples import Series
from tests.tasks.test_streaming import check_same
from tests.tasks.test_transcription import SMALL, SPEECH, clone_fitted, spoken, tones

LEARNS: dict[str, Any] = {"hidden_size": 16, "max_epochs": 15, "random_state": 0, "batch_size": 8}


def heard(count: int, seed: int, offset: float, scale: float = 1.0) -> tuple[Series, list[str]]:
    """What somebody says whose microphone adds and multiplies."""
    X, y = spoken(count, seed=seed)
    return [offset + scale * own for own in X], y


def said_by(parts: dict[str, tuple[Series, list[str]]]) -> tuple[Sequences, list[str]]:
    """Everybody's series, with their names, and texts."""
    X = [own for series, _ in parts.values() for own in series]
    names = [name for name, (series, _) in parts.items() for _ in series]
    return Transcriber().features(X, names), [text for _, texts in parts.values() for text in texts]


TRAINING = said_by({"anna": heard(60, 0, 0.0), "boris": heard(60, 1, 50.0, 4.0)})


@pytest.fixture(scope="module")
def known() -> Transcriber:
    return Transcriber(**LEARNS, normalize="speaker").fit(*TRAINING)


def test_speakers_become_alike(known: Transcriber) -> None:
    X, y = said_by({"anna": heard(20, 2, 0.0), "boris": heard(20, 3, 50.0, 4.0)})
    plain = Transcriber(**LEARNS).fit(*TRAINING)
    assert known.score(X, y) > plain.score(X, y)
    assert known.score(X, y) > 0.9
    assert sorted(known.speakers_.speakers) == ["anna", "boris"]


def test_a_stranger_is_scaled_by_their_own_recordings_and_it_is_said(known: Transcriber) -> None:
    X, y = said_by({"carla": heard(30, 4, -80.0, 9.0)})
    with pytest.warns(SpeakerWarning, match=r"scaled by their own recordings in this call: 'carla' \(30\)"):
        by_own = known.score(X, y)
    with pytest.warns(SpeakerWarning, match="by the level of all training speakers: 'carla'"):
        by_all = clone_fitted(known, unseen_speaker="all").score(X, y)
    unnamed = known.score(X.values, y)
    assert by_own > 0.85
    assert by_all == unnamed < by_own - 0.3


def test_all_recordings_of_a_stranger_count_whatever_the_batch(
    known: Transcriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    X, _ = said_by({"carla": heard(10, 4, -80.0, 9.0)})
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SpeakerWarning)
        together = known.log_probabilities(X)
        monkeypatch.setattr("carousel.tasks.transcription.PREDICTION_BATCH", 3)
        for one, other in zip(known.log_probabilities(X), together, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12)


def test_a_speaker_can_be_added(known: Transcriber) -> None:
    series, texts = heard(30, 4, -80.0, 9.0)
    more = clone_fitted(known).add_speaker("carla", series)
    X, y = said_by({"carla": (series, texts)})
    assert more.score(X, y) > 0.85
    assert "carla" not in known.speakers_.speakers
    with pytest.raises(ValueError, match="normalize='all' knows no speakers"):
        Transcriber(**SMALL).fit(*spoken()).add_speaker("carla", series)


def test_the_level_is_that_of_the_training_part() -> None:
    held_out = Transcriber(**SMALL, normalize="speaker", validation_fraction=0.5).fit(*TRAINING)
    plain = Transcriber(**SMALL, normalize="speaker").fit(*TRAINING)
    assert (held_out.speakers_.everyone.center != plain.speakers_.everyone.center).all()


def test_each_sample_by_itself() -> None:
    X, y = spoken(60)
    model = Transcriber(**SMALL, normalize="sample").fit(X, y)
    moved = [30 + 5 * own for own in X]
    for one, other in zip(model.log_probabilities(X), model.log_probabilities(moved), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


def test_speakers_are_saved_with_the_model(known: Transcriber, tmp_path: Path) -> None:
    known.save(tmp_path / "run")
    loaded = load(tmp_path / "run")
    assert loaded.transcribe(TRAINING[0]) == known.transcribe(TRAINING[0])
    path = tmp_path / "run" / "preprocessing.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    for change in (None, {"$speakers": {"everyone": [[0.0], [1.0]], "speakers": {}}}, {"$speakers": 3}):
        path.write_text(json.dumps({**content, "speakers_": change}), encoding="utf-8")
        with pytest.raises(ModelFileError):
            load(tmp_path / "run")


def test_a_stream_needs_a_speaker_that_is_known(known: Transcriber) -> None:
    model = Transcriber(**SMALL, normalize="speaker", bidirectional=False).fit(*TRAINING)
    X, _ = said_by({"boris": heard(3, 3, 50.0, 4.0)})
    stream = model.stream("boris")
    stream.push(X.values[0])
    check_same(stream.finish(), model.transcribe(X)[0])
    unknown = model.stream()
    unknown.push(X.values[0])
    check_same(unknown.finish(), model.transcribe(X.values)[0])
    with pytest.raises(ValueError, match="'carla' was not heard in training, and a stream has no recordings"):
        model.stream("carla")
    everyone = clone_fitted(model, unseen_speaker="all").stream("carla")
    everyone.push(X.values[0])
    check_same(everyone.finish(), model.transcribe(X.values)[0])


def test_sound_knows_its_speakers() -> None:
    texts = ["a", "ab", "ba", "b"]
    model = Transcriber(**SMALL, frontend="speech", frontend_options=SPEECH, normalize="speaker")
    X = model.features(tones(texts), ["anna", "boris", None, "anna"])
    assert X.speakers == ("anna", "boris", None, "anna") and X.take([2, 1]).speakers == (None, "boris")
    assert sorted(model.fit(X, texts).speakers_.speakers) == ["anna", "boris"]


@pytest.mark.parametrize(
    ("speakers", "words"),
    [(None, "needs to know who speaks"), ([None] * 4, "needs to know who speaks"), (["anna"], "1 for 4 recordings")],
)
def test_what_does_not_say_who_speaks(speakers: Any, words: str) -> None:
    X = [np.zeros((4, 2))] * 4
    with pytest.raises(DataError, match=words):
        given = as_sequences(X) if speakers is None else Transcriber().features(X, speakers)
        Transcriber(**SMALL, normalize="speaker").fit(given, ["a"] * 4)
