"""Demonstrated paths: from anywhere to a crossing, twice round a figure of eight in space through it, and away."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
END, FAR = np.array([1.4, 0.9, 0.8]), 10.0


@dataclass(frozen=True)
class Shape:
    """Steps of each part of a path: at rest, to the crossing, each round, away, and at rest again."""

    rest: int
    come: int
    round: int
    rounds: int
    leave: int
    stay: int


def eight(phase: Floats) -> Floats:
    """A figure of eight in space, (..., 3): at every whole and half phase it is in the origin, in two directions."""
    angle = 2 * np.pi * phase
    return np.stack([np.sin(angle), 0.7 * np.sin(2 * angle), 0.4 * np.sin(angle) ** 2], axis=-1)


def path(start: Floats, shape: Shape) -> Floats:
    """Positions (steps, 3) of a demonstration that begins at rest in `start` (3,)."""
    rounds = np.arange(shape.rounds * shape.round) / shape.round
    tip = 1e-6
    pace = (eight(np.array(tip)) - eight(np.array(-tip))) / (2 * tip) / shape.round
    away = _hermite(np.zeros(3), pace, END, np.zeros(3), shape.leave)
    come = _hermite(start, np.zeros(3), np.zeros(3), pace, shape.come)
    parts = [np.tile(start, (shape.rest, 1)), come, eight(rounds), away, np.tile(END, (shape.stay, 1))]
    return np.concatenate(parts)


def starts(count: int, seed: int) -> Floats:
    """Places to begin, (count, 3), in a box beside the figure."""
    return np.random.default_rng(seed).uniform([-1.8, -0.8, -0.6], [-1.2, 0.8, 0.6], size=(count, 3))


def _hermite(begin: Floats, pace: Floats, end: Floats, last_pace: Floats, steps: int) -> Floats:
    """A smooth way of so many steps from a place and pace (a step) to another, without its last point."""
    s = (np.arange(steps) / steps)[:, None]
    return (
        (2 * s**3 - 3 * s**2 + 1) * begin
        + (s**3 - 2 * s**2 + s) * steps * pace
        + (3 * s**2 - 2 * s**3) * end
        + (s**3 - s**2) * steps * last_pace
    )


def deviation(run: Floats, wanted: Floats) -> Floats:
    """The mean distance from the demonstration, at most FAR a step, (runs,), of runs (steps, runs, 3)."""
    return np.minimum(np.linalg.norm(run - wanted, axis=-1), FAR).mean(0)


def passed(run: Floats, wanted: Floats, near: float, every: int) -> Floats:
    """The share of way points, every so many steps of the demonstration, that each run passes in order, (runs,)."""
    points = wanted[every - 1 :: every]
    found = []
    for own, goals in zip(run.swapaxes(0, 1), points.swapaxes(0, 1), strict=True):
        at, reached = 0, 0
        for goal in goals:
            close = np.flatnonzero(np.linalg.norm(own[at:] - goal, axis=-1) < near)
            if not len(close):
                break
            at, reached = at + int(close[0]), reached + 1
        found.append(reached / len(goals))
    return np.array(found)
