"""Static features as numbers: scaled, or one column a category."""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from carousel.data import DataError
from carousel.tasks.scaler import Scaler

NO_NUMBER = (str, bytes, bool, np.bool_)


@dataclass(frozen=True)
class StaticColumn:
    """How one static feature becomes numbers: by its categories in training, or by a scaler where it has none."""

    name: str
    categories: tuple[str, ...] = ()
    scaler: Scaler | None = None

    @classmethod
    def of(cls, name: str, values: NDArray[Any]) -> Self:
        """Learn from the values (series,) in training: texts and truth values are categories, numbers are scaled."""
        if any(isinstance(value, NO_NUMBER) for value in values):
            return cls(name, tuple(sorted({str(value) for value in values})))
        return cls(name, scaler=Scaler.of([_numbers(name, values)[:, None]]))

    @property
    def width(self) -> int:
        """Numbers that the feature becomes."""
        return max(len(self.categories), 1)

    def encode(self, values: NDArray[Any], ids: tuple[str, ...]) -> NDArray[np.float64]:
        """Values (series,) as (series, width). Raises DataError for a category that training did not contain."""
        if self.scaler is not None:
            return self.scaler.apply(_numbers(self.name, values)[:, None])
        for series, value in zip(ids, values, strict=True):
            if str(value) not in self.categories:
                known = ", ".join(map(repr, self.categories[:10]))
                raise DataError(
                    f"static feature {self.name!r} of series {series!r} is {str(value)!r}, which training did not "
                    f"contain; it can be {known}"
                )
        return (values.astype(str)[:, None] == np.array(self.categories)).astype(np.float64)

    def plain(self) -> dict[str, Any]:
        """The column as a dictionary."""
        return {"name": self.name, "categories": list(self.categories), "scaler": self.scaler}

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> Self:
        """The column that `plain` wrote."""
        scaler = plain["scaler"]
        if not isinstance(scaler, Scaler | None) or (scaler is None) == (not plain["categories"]):
            raise ValueError(f"static feature {plain['name']!r} has neither categories nor a scaler, or both")
        return cls(str(plain["name"]), tuple(map(str, plain["categories"])), scaler)


def _numbers(name: str, values: NDArray[Any]) -> NDArray[np.float64]:
    try:
        numbers = values.astype(np.float64)
    except (TypeError, ValueError):
        raise DataError(f"static feature {name!r} has values that are neither numbers nor text; convert them") from None
    if not np.isfinite(numbers).all():
        row = int(np.flatnonzero(~np.isfinite(numbers))[0])
        raise DataError(f"static feature {name!r} is {numbers[row]} for series number {row}; give a finite number")
    return numbers


def encode_static(
    columns: tuple[StaticColumn, ...], static: NDArray[Any] | None, ids: tuple[str, ...]
) -> NDArray[np.float64] | None:
    """All static features as numbers (series, width), or None where there are none."""
    if not columns or static is None:
        return None
    return np.concatenate([own.encode(static[:, at], ids) for at, own in enumerate(columns)], axis=1)
