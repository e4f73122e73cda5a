"""Timing: spikes at even intervals, delays between spikes, periods of functions."""

import numpy as np
import pytest

from carousel.data.synthetic.timed import periodic, spike_delays, timed_spikes


def test_spikes_end_each_interval() -> None:
    stream = timed_spikes(4, 3)
    assert stream.targets.flatten().tolist() == [0, 0, 0, 1] * 3
    assert stream.begins.tolist() == [True, False, False, False] * 3
    assert stream.observed.all() and stream.inputs.shape == (12, 1) and not stream.inputs.any()


def test_delays_are_told_at_the_spikes() -> None:
    stream = spike_delays(10, (0, 3), 500, np.random.default_rng(0))
    spikes = stream.inputs[:, 0].nonzero().flatten()
    assert stream.observed.nonzero().flatten().tolist() == spikes.tolist()
    gaps = np.diff(np.concatenate([[-1], spikes.numpy()]))
    assert stream.targets[spikes, 0].tolist() == (gaps - 10).tolist()
    assert set(gaps) == {10, 13} and np.mean(gaps == 10) == pytest.approx(0.5, abs=0.07)
    assert stream.begins.nonzero().flatten().tolist() == [0, *(spikes[:-1] + 1).tolist()]


def test_functions_have_their_periods() -> None:
    cosine, triangle, rectangle = (
        periodic(wave, 8, 2).targets.flatten() for wave in ("cosine", "triangle", "rectangle")
    )
    assert triangle.tolist() == [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25] * 2
    assert rectangle.tolist() == [0, 0, 0, 0, 1, 1, 1, 1] * 2
    assert cosine[[0, 2, 4, 6, 8]].tolist() == pytest.approx([0, 0.5, 1, 0.5, 0])
    with pytest.raises(ValueError, match="wave is 'sawtooth'; it can be cosine, triangle, rectangle"):
        periodic("sawtooth", 8, 2)
