"""Front ends tell themselves in JSON, and come back as they were."""

import json
from typing import Any

import numpy as np
import pytest

from carousel.data import DataError, Frontend, frontend_from_json
from carousel.data.audio import SpeechFrontend
from carousel.data.ink import InkFrontend

FRONTENDS: list[Frontend] = [
    SpeechFrontend(),
    SpeechFrontend(rate=8000, bands=23, cepstra=13, energy=False, high=3800),
    InkFrontend(),
    InkFrontend(groups=("offset", "position"), size=None, spacing=None, slant=False),
]


@pytest.mark.parametrize("frontend", FRONTENDS)
def test_a_front_end_goes_through_json(frontend: Frontend) -> None:
    again = frontend_from_json(json.loads(json.dumps(frontend.to_json())))
    assert again == frontend
    assert again.names == frontend.names
    assert frontend.n_features == len(frontend.names)


def test_features_have_the_size_that_is_told() -> None:
    assert FRONTENDS[1].features(np.random.default_rng(0).normal(size=4000) / 9).shape == (48, 39)
    assert FRONTENDS[3].features([[[0, 0], [1, 1]], [[2, 2]]]).shape == (3, 4)
    assert FRONTENDS[0].hop == 0.01
    assert FRONTENDS[2].hop is None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"kind": "smell"}, "its kind is one of speech, ink"),
        ({"extra": 1}, "odd: extra"),
        ({"rate": "fast"}, "no front end of kind 'speech'"),
        ({"bands": 0}, "1 band"),
    ],
)
def test_descriptions_that_are_refused(change: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        frontend_from_json({**SpeechFrontend().to_json(), **change})
    with pytest.raises(DataError, match="describes no front end"):
        frontend_from_json([])
