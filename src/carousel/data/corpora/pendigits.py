"""PenDigits: 10,992 handwritten digits of 44 writers as pen trajectories, which the package ships.

E. Alpaydin and F. Alimoglu (1998), Pen-Based Recognition of Handwritten Digits, UCI Machine Learning Repository.
"""

from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from carousel.data.ink.strokes import Ink

TEST_EVERY = 4


@dataclass(frozen=True, eq=False)
class PenDigits:
    """Digits and their ink.

    points: (digits, 8, 2), 0 to 100, x to the right and y upwards: eight points at equal distances along the pen's way,
        as the set was published; where the pen was lifted is not known.
    labels: int64 (digits,), 0 to 9.
    """

    points: NDArray[np.float64]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)

    def ink(self) -> list[Ink]:
        """Each digit as ink of one stroke."""
        return [Ink((points,)) for points in self.points]


def pendigits(part: str | None = None) -> PenDigits:
    """All digits, or the "training" or "test" part: each fourth one, for ever. Raises ValueError for another part.

    Who wrote which digit is not known any more, so that writers are in both parts.
    """
    if part not in (None, "training", "test"):
        raise ValueError(f"there is no part {part!r}; give 'training', 'test' or None")
    with np.load(str(files("carousel.data") / "sets" / "pendigits.npz")) as archive:
        points, labels = archive["points"].astype(np.float64), archive["labels"].astype(np.int64)
    test = np.arange(len(labels)) % TEST_EVERY == TEST_EVERY - 1
    chosen = np.ones_like(test) if part is None else test if part == "test" else ~test
    return PenDigits(points[chosen], labels[chosen])
