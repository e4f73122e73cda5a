"""What the demo says of a drawing, held to its network."""

from pathlib import Path

import numpy as np
import pytest
import torch

from carousel.cli.demo import reading
from carousel.cli.demo.reading import PARTS, READINGS, Reader
from carousel.data.ink import InkFrontend, as_ink
from carousel.tasks import Transcriber

BEND = [[[10, 10], [60, 10], [30, 80]]]


@pytest.fixture
def reader(hasty: Path) -> Reader:
    return Reader(Transcriber.load(hasty))


def forget(reader: Reader, *, backward: bool) -> None:
    """Set the weights of one direction to zero."""
    with torch.no_grad():
        for name, weight in reader.estimator.network_.lstm.named_parameters():
            if name.endswith("_reverse") == backward:
                weight.zero_()


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "backward"])
def test_a_direction_has_a_memory_of_its_own(backward: bool, reader: Reader) -> None:
    before = reader.read(BEND, "cell", backward)["memory"]
    forget(reader, backward=not backward)
    assert reader.read(BEND, "cell", backward)["memory"] == before
    forget(reader, backward=backward)
    assert not np.any(reader.read(BEND, "cell", backward)["memory"])


def test_each_part_and_so_many_units_are_shown(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "UNITS", 4)
    layer = reader.estimator.trace(reader.estimator.features([as_ink(BEND, down=True)]))[0][0]
    for part in PARTS:
        expected = np.tanh(layer[part]) if part == "cell" else layer[part]
        np.testing.assert_array_equal(reader.read(BEND, part)["memory"], expected[:, :4].round(2))


def test_symbols_that_are_ever_likely_are_drawn(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    (found,) = reader.estimator.log_probabilities([as_ink(BEND, down=True)])
    highest = np.exp(found).max(0)[1:]
    monkeypatch.setattr(reading, "SPOKEN", sorted(highest)[-3])
    said = reader.read(BEND)
    assert {symbol: max(shares) for symbol, shares in said["says"].items()} == {
        str(digit): highest[digit].round(3) for digit in np.argsort(highest)[-3:]
    }
    assert len({own["text"] for own in said["readings"]}) == READINGS
    ends = [0, *(own["end"] for own in said["symbols"])]
    starts = [*(own["start"] for own in said["symbols"]), len(said["places"])]
    assert all(end <= start for end, start in zip(ends, starts, strict=True))


@pytest.mark.parametrize(("lifts", "count"), [(True, 3), (False, 1)])
def test_strokes_begin_where_the_network_lifts_its_pen(lifts: bool, count: int) -> None:
    reader = Reader(Transcriber(frontend=InkFrontend(lifts=lifts)))
    ink = as_ink([[[0, 0], [40, 60]], [[50, 0], [50, 60], [90, 60]], [[100, 0], [120, 60]]])
    begins = reader._begins(ink)
    np.testing.assert_allclose(reader.frontend.places(ink)[begins], [stroke[0] for stroke in ink.strokes[:count]])
