"""Many series with their covariates, and what to do where values are missing."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from carousel.data.errors import DataError
from carousel.data.sequences import NanPolicy, Sequences, as_sequences

MissingPolicy = Literal["error", "mask", "impute"]


@dataclass(frozen=True)
class Panel:
    """Series to forecast, with what else is known about them.

    targets: one array (time, targets) a series, or anything that `as_sequences` takes.
    past: covariates known up to the present, one array (time, features) a series.
    future: covariates known ahead, one array a series with at least the rows of its targets; rows beyond them are
        the future.
    static: (series, features).
    missing: what a NaN in the targets or past covariates means. "error" refuses it by name. "mask" reads it as 0 (the
        mean, of scaled series) and adds, for each of these columns, a feature that says whether it was observed and
        one with log(1 + steps since it last was). "impute" repeats the last observed value, and reads 0 before
        the first. Neither looks ahead, and missing targets never count in a loss.

    Raises DataError, naming the series, where the parts do not fit each other.
    """

    targets: Any
    past: Any = None
    future: Any = None
    static: Any = None
    missing: MissingPolicy = "error"
    dtype: Any = np.float32

    def __post_init__(self) -> None:
        nan: NanPolicy = "error" if self.missing == "error" else "keep"
        given: tuple[tuple[str, Any, NanPolicy], ...] = (("past", self.past, nan), ("future", self.future, "error"))
        if self.missing not in ("error", "mask", "impute"):
            raise ValueError(f"missing is {self.missing!r}; it can be 'error', 'mask' or 'impute'")
        object.__setattr__(self, "targets", as_sequences(self.targets, what="targets", nan=nan, dtype=self.dtype))
        for name, values, policy in given:
            if values is not None:
                found = as_sequences(values, what=f"{name} covariates", nan=policy, dtype=self.dtype)
                object.__setattr__(self, name, _fitted(found, self.targets, name))
        if self.static is not None:
            object.__setattr__(self, "static", _static(self.static, len(self.targets), self.dtype))

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The number of target rows of each series, (series,)."""
        return self.targets.lengths

    @property
    def n_inputs(self) -> int:
        """The number of features of a window's inputs."""
        return self.inputs[0].shape[1]

    @cached_property
    def inputs(self) -> list[NDArray[Any]]:
        """One array (time, inputs) a series: targets, past, future, then observed flags and time since, for "mask"."""
        return [self._input(position) for position in range(len(self))]

    def _input(self, position: int) -> NDArray[Any]:
        target = self.targets.values[position]
        parts = [target] if self.past is None else [target, self.past.values[position]]
        observable = np.concatenate(parts, axis=1)
        known = [] if self.future is None else [self.future.values[position][: len(target)]]
        flags = observed_features(observable) if self.missing == "mask" else []
        filled = last_observed(observable) if self.missing == "impute" else np.nan_to_num(observable, nan=0.0)
        return np.concatenate([filled, *known, *flags], axis=1)

    def head(self, rows: int | Sequence[int], ahead: int = 0) -> "Panel":
        """Return the panel of each series' first rows, with future covariates for `ahead` rows more."""
        stops = np.broadcast_to(rows, len(self))
        targets, past = _cut(self.targets, stops), _cut(self.past, stops)
        return Panel(
            targets, past, _cut(self.future, stops + ahead), static=self.static, missing=self.missing, dtype=self.dtype
        )


def _cut(sequences: Sequences | None, stops: NDArray[Any]) -> Sequences | None:
    if sequences is None:
        return None
    values = [value[:stop] for value, stop in zip(sequences.values, stops, strict=True)]
    return Sequences(values, sequences.features, sequences.ids)


def _fitted(found: Sequences, targets: Sequences, name: str) -> Sequences:
    """Check covariates against the targets' series and lengths."""
    if len(found) != len(targets):
        raise DataError(f"{name} covariates have {len(found)} series, the targets {len(targets)}; give one a series")
    for series, rows, needed in zip(targets.ids, found.lengths, targets.lengths, strict=True):
        if rows < needed or (name == "past" and rows != needed):
            many = "at least as many" if name == "future" else "as many"
            raise DataError(
                f"{name} covariates of series {series!r} have {rows} rows, its targets {needed}; give {many}"
            )
    return Sequences(found.values, found.features, targets.ids)


def _static(static: Any, series: int, dtype: Any) -> NDArray[Any]:
    table = as_sequences(static, what="static covariates", dtype=dtype)
    if table.width is None or len(table) != series:
        raise DataError(f"static covariates are for {len(table)} series, the targets are {series}; give a row a series")
    return np.concatenate([value.T for value in table.values])


def observed_features(values: NDArray[Any]) -> list[NDArray[Any]]:
    """Return whether each value was observed, as 0 or 1, and log(1 + steps since it last was); both (time, columns).

    The mask and time-since features of Che et al. (2018), "Recurrent neural networks for multivariate time series
    with missing values". Before the first observation the steps count from the start of the series.
    """
    since = np.arange(len(values))[:, None] - np.maximum(_last_seen(values), 0)
    return [(~np.isnan(values)).astype(values.dtype), np.log1p(since).astype(values.dtype)]


def last_observed(values: NDArray[Any]) -> NDArray[Any]:
    """Return values (time, columns) with each NaN replaced by the last value before it, or 0 where there is none."""
    seen = _last_seen(values)
    filled = np.take_along_axis(values, np.maximum(seen, 0), axis=0)
    return np.where(seen < 0, 0, filled).astype(values.dtype)


def _last_seen(values: NDArray[Any]) -> NDArray[np.int64]:
    """Return the row at which each column was last observed, -1 before the first."""
    rows = np.arange(len(values))[:, None]
    return np.maximum.accumulate(np.where(np.isnan(values), -1, rows), axis=0)
