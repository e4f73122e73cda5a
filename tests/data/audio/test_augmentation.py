"""Drawn variation of sound: as much as was asked for, and the same from the same seed."""

import numpy as np
import pytest

from carousel.data import DataError
from carousel.data.audio import AddNoise, JitterFeatures, SpecAugment

FEATURES = np.random.default_rng(1).normal(size=(200, 30)).astype(np.float32)


def test_stripes_are_blank_and_the_rest_stays() -> None:
    augment = SpecAugment(time_masks=1, time_width=50, feature_masks=1, feature_width=5, time_share=0.1)
    widest = [0, 0]
    for seed in range(40):
        before = FEATURES.copy()
        found = augment(FEATURES, np.random.default_rng(seed))
        np.testing.assert_array_equal(FEATURES, before)
        changed = found != FEATURES
        rows, columns = changed.all(1), changed.all(0)
        assert (changed == (rows[:, None] | columns)).all()
        np.testing.assert_allclose(found[changed], np.broadcast_to(FEATURES.mean(0), found.shape)[changed])
        widest = [max(widest[0], int(rows.sum())), max(widest[1], int(columns.sum()))]
    assert widest == [20, 5]


def test_the_same_seed_gives_the_same() -> None:
    for augment in (SpecAugment(), JitterFeatures()):
        one, two = (augment(FEATURES, np.random.default_rng(3)) for _ in range(2))
        np.testing.assert_array_equal(one, two)
        assert one.dtype == np.float32


def test_jitter_has_its_deviation() -> None:
    noise = JitterFeatures(deviation=0.6)(FEATURES, np.random.default_rng(0)) - FEATURES
    assert noise.std() == pytest.approx(0.6, rel=0.05)


@pytest.mark.parametrize("ratio", [0.0, 20.0])
def test_noise_has_its_ratio(ratio: float) -> None:
    sound = np.sin(np.arange(16_000) / 5).astype(np.float32)
    noise = AddNoise(lowest=ratio, highest=ratio)(sound, np.random.default_rng(0)) - sound
    assert 10 * np.log10(np.mean(sound**2) / np.mean(noise**2)) == pytest.approx(ratio, abs=0.01)


def test_noise_has_its_colour() -> None:
    sound = np.ones(2**14, np.float32)
    shares = []
    for slope in (0, 1, 2):
        noise = AddNoise(lowest=0, highest=0, slope=slope)(sound, np.random.default_rng(0)) - sound
        power = np.abs(np.fft.rfft(noise)) ** 2
        shares.append(power[: len(power) // 8].sum() / power.sum())
    assert shares[0] == pytest.approx(1 / 8, abs=0.01)
    assert shares[0] < shares[1] < shares[2]
    np.testing.assert_array_equal(AddNoise()(np.zeros(100), np.random.default_rng(0)), np.zeros(100))


def test_nothing_cannot_be_varied() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(DataError, match=r"samples have shape \(0,\); give \(time,\), 1 sample"):
        AddNoise()(np.zeros(0, np.float32), rng)
    with pytest.raises(DataError, match=r"features have shape \(0, 3\); give \(time, features\), 1 frame"):
        SpecAugment()(np.zeros((0, 3), np.float32), rng)


def test_options_that_are_refused() -> None:
    with pytest.raises(DataError, match="counts and widths of 0 or more"):
        SpecAugment(time_masks=-1)
    with pytest.raises(DataError, match="give the lower one first"):
        AddNoise(lowest=3, highest=1)
