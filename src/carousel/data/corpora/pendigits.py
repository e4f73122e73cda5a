"""PenDigits: 10,992 handwritten digits of 44 writers as pen trajectories, which the package ships.

E. Alpaydin and F. Alimoglu (1998), Pen-Based Recognition of Handwritten Digits, UCI Machine Learning Repository.
"""

from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from carousel.data.ink.lines import joined
from carousel.data.ink.strokes import Ink
from carousel.data.ink.variation import InkVariation

TEST_EVERY = 4
HAND = InkVariation(slant=0.15, turn=0.03, stretch=0.1, waver=0.02)


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


def digit_strings(
    part: str,
    count: int,
    rng: np.random.Generator,
    *,
    longest: int = 6,
    gap: tuple[float, float] = (0.05, 0.6),
    scale: float = 0.08,
    hand: InkVariation = HAND,
) -> tuple[list[Ink], list[str]]:
    """So many strings of a part's digits, one stroke a digit, and what they say.

    longest: digits of a string, at most. gap: between digits, as shares of the first one's height. scale: standard
        deviation of the logarithm of a digit's size. hand: how each whole string is varied.

    Since it is not known where the pen was lifted within a digit, read them by `InkFrontend(lifts=False)`.
    """
    digits = pendigits(part)
    signs, inks, texts = digits.ink(), [], []
    for _ in range(count):
        chosen = rng.integers(len(digits), size=rng.integers(1, longest + 1))
        sizes = np.exp(rng.normal(0, scale, len(chosen)))
        line = [
            signs[at].changed(lambda points, size=size: points * size) for at, size in zip(chosen, sizes, strict=True)
        ]
        inks.append(hand(joined(line, rng, gap=gap), rng))
        texts.append("".join(map(str, digits.labels[chosen])))
    return inks, texts
