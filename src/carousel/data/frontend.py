"""Front ends: from a signal as it was recorded to feature vectors, told in JSON so that a model takes its own along."""

from abc import ABC, abstractmethod
from dataclasses import asdict, dataclass, fields
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from carousel.data.errors import DataError

FRONTENDS: dict[str, type["Frontend"]] = {}
Features = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Frontend(ABC):
    """What turns one signal into features (time, features). A subclass is a frozen dataclass; its fields are options.

    Its name stands in the class line, `class Speech(Frontend, kind="speech")`; under it `frontend_from_json` finds it.
    """

    kind: ClassVar[str]

    def __init_subclass__(cls, *, kind: str, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.kind = kind
        FRONTENDS[kind] = cls

    @property
    @abstractmethod
    def names(self) -> tuple[str, ...]:
        """The name of each feature, in order."""

    @property
    def n_features(self) -> int:
        """The number of features of a frame."""
        return len(self.names)

    @property
    def hop(self) -> float | None:
        """Seconds from a frame to the next, or None where frames are not evenly spaced in time."""
        return None

    @abstractmethod
    def features(self, signal: Any) -> Features:
        """The features of one signal, float32 (time, features). Raises DataError for a signal that has none."""

    def to_json(self) -> dict[str, Any]:
        """The kind and all options, as JSON can hold them; `frontend_from_json` reads them back."""
        return {"kind": self.kind, **asdict(self)}


def frontend_from_json(description: Any) -> Frontend:
    """The front end that `to_json` described. Raises DataError for what it never wrote."""
    if not isinstance(description, dict) or description.get("kind") not in FRONTENDS:
        raise DataError(f"{description!r:.80} describes no front end; its kind is one of {', '.join(FRONTENDS)}")
    kind = FRONTENDS[description["kind"]]
    options = {name: value for name, value in description.items() if name != "kind"}
    known = {field.name for field in fields(kind)}
    if odd := sorted(options.keys() ^ known):
        raise DataError(f"a front end of kind {kind.kind!r} is described by {', '.join(sorted(known))}; odd: {odd[0]}")
    try:
        return kind(**options)
    except (TypeError, ValueError) as error:
        raise DataError(f"no front end of kind {kind.kind!r}: {error}") from None
