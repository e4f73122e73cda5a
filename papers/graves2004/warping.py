"""The baseline of old: the nearest recording by dynamic time warping (Sakoe and Chiba 1978)."""

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float64]


def nearest(templates: list[Features], asked: Features) -> int:
    """The place of the template whose cheapest path to `asked` (time, features), a step longer, is the cheapest."""
    return int(np.argmin(costs(templates, asked)))


def costs(templates: list[Features], asked: Features) -> NDArray[np.float64]:
    """The cost of the best path to each template over the sum of both lengths: Euclidean distances, a step forwards in
    one or both, that in both counted twice."""
    longest, lengths = max(map(len, templates)), np.array([len(own) for own in templates])
    padded = np.stack([np.pad(own, ((0, longest - len(own)), (0, 0)), mode="edge") for own in templates])
    found = np.full((len(templates), longest + 1), np.inf)
    found[:, 0] = 0.0
    for frame in asked:
        near = np.linalg.norm(padded - frame, axis=2)
        across = np.minimum(found[:, :-1] + 2 * near, found[:, 1:] + near)
        own = np.full_like(found, np.inf)
        for step in range(longest):
            own[:, step + 1] = np.minimum(across[:, step], own[:, step] + near[:, step])
        found = own
    return found[np.arange(len(templates)), lengths] / (lengths + len(asked))
