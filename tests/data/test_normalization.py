"""Normalisation by speaker."""

import json

import numpy as np
import pytest

from carousel.data import DataError, SpeakerNormalization


def _two() -> tuple[list[np.ndarray], list[str]]:
    rng = np.random.default_rng(0)
    levels = {"anna": (5.0, 2.0), "boris": (-3.0, 0.5)}
    speakers = ["anna", "boris", "anna", "boris"]
    return [rng.normal(*levels[name], size=(50, 3)).astype(np.float32) for name in speakers], speakers


def test_each_speaker_has_mean_0_and_deviation_1() -> None:
    features, speakers = _two()
    found = SpeakerNormalization.of(features, speakers)
    for name in ("anna", "boris"):
        own = [found.apply(part, name) for part, who in zip(features, speakers, strict=True) if who == name]
        np.testing.assert_allclose(np.concatenate(own).mean(0), 0, atol=1e-5)
        np.testing.assert_allclose(np.concatenate(own).std(0), 1, atol=1e-5)
        assert own[0].dtype == np.float32
    np.testing.assert_allclose(np.concatenate([found.apply(part) for part in features]).std(0), 1, atol=1e-5)


def test_a_new_speaker() -> None:
    features, speakers = _two()
    found = SpeakerNormalization.of(features[:1], speakers[:1])
    np.testing.assert_array_equal(found.apply(features[1], "boris"), found.apply(features[1]))
    known = found.with_speaker("boris", features[1:2])
    np.testing.assert_allclose(known.apply(features[1], "boris").mean(0), 0, atol=1e-5)
    assert "boris" not in found.speakers


def test_a_feature_that_does_not_vary() -> None:
    np.testing.assert_array_equal(
        SpeakerNormalization.of([np.full((4, 1), 7.0)]).apply(np.full((2, 1), 8.0)), [[1], [1]]
    )


def test_it_goes_through_json() -> None:
    features, speakers = _two()
    found = SpeakerNormalization.of(features, speakers)
    again = SpeakerNormalization.from_json(json.loads(json.dumps(found.to_json())))
    for speaker in ("anna", "nobody"):
        np.testing.assert_array_equal(again.apply(features[0], speaker), found.apply(features[0], speaker))


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        {},
        {"everyone": [[0], [1]], "speakers": {"a": [[0, 1], [1, 1]]}},
        {"everyone": [[0], [-1]], "speakers": {}},
    ],
)
def test_json_that_is_refused(wrong: object) -> None:
    with pytest.raises(DataError):
        SpeakerNormalization.from_json(wrong)


def test_wrong_calls() -> None:
    features, _ = _two()
    with pytest.raises(DataError, match="1 speakers for 4 recordings"):
        SpeakerNormalization.of(features, ["a"])
    with pytest.raises(DataError, match="2 features, but the normalisation knows 3"):
        SpeakerNormalization.of(features).apply(features[0][:, :2])
