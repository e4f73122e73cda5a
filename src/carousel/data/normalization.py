"""Normalisation of features by who spoke or wrote them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from carousel.data.errors import DataError

Vector = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Level:
    """Centre and spread of each feature, (features,) in float64."""

    center: Vector
    spread: Vector

    def __post_init__(self) -> None:
        if self.center.ndim != 1 or self.center.shape != self.spread.shape:
            raise DataError(f"a center of shape {self.center.shape}, a spread of {self.spread.shape}; both (features,)")
        if not (np.isfinite(self.center).all() and np.isfinite(self.spread).all() and (self.spread > 0).all()):
            raise DataError("center and spread must be finite, and the spread positive")

    @classmethod
    def of(cls, features: Sequence[NDArray[Any]]) -> Self:
        """Mean and standard deviation over all frames; the spread of a feature that does not vary is 1."""
        frames = np.concatenate(features).astype(np.float64)
        center, spread = frames.mean(0), frames.std(0)
        return cls(center, np.where(spread > 1e-12 * np.maximum(1, np.abs(center)), spread, 1.0))


@dataclass(frozen=True, eq=False)
class SpeakerNormalization:
    """Mean 0 and deviation 1 of each feature, by speaker: what differs from one to the next is taken out.

    everyone: over all speakers of the training, for speakers that nothing is known of. speakers: each one's own.
    """

    everyone: Level
    speakers: dict[str, Level] = field(default_factory=dict)

    @classmethod
    def of(cls, features: Sequence[NDArray[Any]], speakers: Sequence[str] | None = None) -> Self:
        """Learn from features (time, features) and who spoke each; None for one speaker, or unknown ones.

        Raises DataError where there are not as many speakers as features.
        """
        if speakers is not None and len(speakers) != len(features):
            raise DataError(f"{len(speakers)} speakers for {len(features)} recordings; give one each")
        own: dict[str, list[NDArray[Any]]] = {}
        for part, name in zip(features, speakers or (), strict=speakers is not None):
            own.setdefault(name, []).append(part)
        return cls(Level.of(features), {name: Level.of(parts) for name, parts in own.items()})

    def with_speaker(self, name: str, features: Sequence[NDArray[Any]]) -> Self:
        """The same, and a speaker more (or anew), known from these features."""
        return replace(self, speakers={**self.speakers, name: Level.of(features)})

    def apply(self, features: NDArray[Any], speaker: str | None = None) -> NDArray[Any]:
        """Features (time, features) by the speaker's own level, or everyone's where the speaker is unknown.

        Raises DataError for another number of features.
        """
        level = self.everyone if speaker is None else self.speakers.get(speaker, self.everyone)
        if features.shape[-1] != len(level.center):
            raise DataError(f"{features.shape[-1]} features, but the normalisation knows {len(level.center)}")
        return ((features - level.center) / level.spread).astype(features.dtype)

    def to_json(self) -> dict[str, Any]:
        """All numbers, as JSON can hold them."""
        return {
            "everyone": _lists(self.everyone),
            "speakers": {name: _lists(own) for name, own in self.speakers.items()},
        }

    @classmethod
    def from_json(cls, description: Any) -> Self:
        """What `to_json` wrote. Raises DataError for anything else."""
        try:
            speakers = {str(name): _level(own) for name, own in description["speakers"].items()}
            found = cls(_level(description["everyone"]), speakers)
        except (KeyError, TypeError, AttributeError, ValueError) as error:
            raise DataError(f"no normalisation: {error}") from None
        if any(own.center.shape != found.everyone.center.shape for own in speakers.values()):
            raise DataError("no normalisation: speakers with unequal numbers of features")
        return found


def _lists(level: Level) -> list[list[float]]:
    return [level.center.tolist(), level.spread.tolist()]


def _level(numbers: Any) -> Level:
    center, spread = (np.array(row, dtype=np.float64) for row in numbers)
    return Level(center, spread)
