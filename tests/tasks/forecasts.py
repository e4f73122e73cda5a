"""Small seasonal series and forecasters that learn in a moment."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from carousel.tasks import Forecaster

SEASON = 8
QUICK: dict[str, Any] = {
    "horizon": 4,
    "context": 16,
    "season": SEASON,
    "hidden_size": 4,
    "max_epochs": 2,
    "windows_per_epoch": 64,
    "batch_size": 32,
    "random_state": 0,
}


def quick(**options: Any) -> Forecaster:
    """A forecaster of 4 steps from 16, hardly trained."""
    return Forecaster(**{**QUICK, **options})


def wave(rows: int = 120, *, level: float = 0.0, noise: float = 0.1, seed: int = 0) -> NDArray[np.float64]:
    """A season of 8 steps with noise."""
    rng = np.random.default_rng(seed)
    return level + np.sin(2 * np.pi * np.arange(rows) / SEASON) + rng.normal(0, noise, rows)


def days(rows: int, first: str = "2020-01-01") -> NDArray[np.datetime64]:
    """Days in a row."""
    return np.datetime64(first, "us") + np.arange(rows) * np.timedelta64(1, "D")
