"""From the units of the data to what the network reads, and back: learned from the training part alone."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, Self, cast

import numpy as np
from numpy.typing import NDArray

from carousel.data import DataError, Panel, Sequences, TimeIndex, calendar_features
from carousel.tasks.forecasting.history import Columns, History
from carousel.tasks.forecasting.statics import StaticColumn, encode_static
from carousel.tasks.scaler import Scaler

NAMES = ("target_names", "past_names", "future_names", "calendar")
SCALINGS = ("standard", "robust", "none")
ALL = ""
"""The key of the scaler that all series share."""
NORMAL_QUARTILES = 1.349
"""Distance of the quartiles of a normal distribution of unit variance."""
CYCLE_DAYS = {"hour_of_day": 1, "day_of_week": 7, "day_of_year": 365.25}
CYCLES_SEEN = 2
"""A cycle of the calendar is only learned when the training part holds it so many times."""


@dataclass(frozen=True)
class Preparation:
    """How a History becomes a Panel of scaled numbers.

    targets: a scaler for each series by name, or one under "" for all. past, future: scalers of the covariates.
    calendar: the calendar's features that were learned.
    """

    missing: Literal["error", "mask", "impute"]
    scaling: str
    target_names: Columns
    past_names: Columns
    future_names: Columns
    targets: dict[str, Scaler]
    past: Scaler | None
    future: Scaler | None
    static: tuple[StaticColumn, ...]
    calendar: Columns
    named: bool

    @classmethod
    def of(cls, train: History, missing: str, scaling: str, *, each_series: bool, calendar: bool) -> Self:
        """Learn from the training part of the series."""
        each = {name: scaler_of([own], scaling) for name, own in zip(train.ids, train.targets, strict=True)}
        return cls(
            missing=cast(Literal["error", "mask", "impute"], missing),
            scaling=scaling,
            target_names=train.target_names,
            past_names=train.past_names,
            future_names=train.future_names,
            targets=each if each_series else {ALL: scaler_of(train.targets, scaling)},
            past=None if train.past is None else scaler_of(train.past, scaling),
            future=None if train.future is None else scaler_of(train.future, scaling),
            static=tuple(_static_columns(train)),
            calendar=_cycles(train) if calendar else (),
            named=train.named,
        )

    def scalers(self, history: History) -> list[Scaler]:
        """The scaler of each series; a series that training did not contain is scaled by its own values.

        Series without names are those of the training when there are as many.
        """
        if ALL in self.targets:
            return [self.targets[ALL]] * len(history)
        known = history.named or (not self.named and len(history) == len(self.targets))
        return [
            self.targets[name] if known and name in self.targets else scaler_of([own], self.scaling)
            for name, own in zip(history.ids, history.targets, strict=True)
        ]

    def panel(self, history: History, ahead: int = 0) -> Panel:
        """The scaled series; the calendar goes on for `ahead` steps after their ends."""
        self._check(history)
        scaled = [scaler.apply(own) for scaler, own in zip(self.scalers(history), history.targets, strict=True)]
        past = history.sequences("past")
        return Panel(
            Sequences(scaled, history.target_names, history.ids),
            past=None if past is None or self.past is None else _scaled(past, self.past),
            future=self._future(history, ahead),
            static=encode_static(self.static, history.static, history.ids),
            missing=self.missing,
        )

    def undo(self, quantiles: NDArray[Any], history: History, series: NDArray[Any]) -> NDArray[np.float64]:
        """Scaled values (windows, horizon, targets, levels) in the units of the data; `series` says whose they are."""
        scalers = self.scalers(history)
        center, spread = (np.stack([getattr(own, part) for own in scalers])[series] for part in ("center", "spread"))
        return quantiles * spread[:, None, :, None] + center[:, None, :, None]

    @property
    def future_width(self) -> int:
        """Features known ahead, the calendar's among them."""
        return len(self.future_names) + len(self.calendar)

    @property
    def static_width(self) -> int:
        """Numbers that the static features become."""
        return sum(column.width for column in self.static)

    def _future(self, history: History, ahead: int) -> Sequences | None:
        known = history.sequences("future")
        parts = [] if known is None or self.future is None else [_scaled(known, self.future).values]
        if self.calendar:
            assert history.times is not None
            parts.append([_calendar(index, ahead, self.calendar) for index in history.times])
        if not parts:
            return None
        joined = [_side_by_side(own) for own in zip(*parts, strict=True)]
        return Sequences(joined, self.future_names + self.calendar, history.ids)

    def _check(self, history: History) -> None:
        """Raise DataError, by name, for columns that the forecaster was not fitted with, or that are not there."""
        for what in ("target", "past", "future"):
            ours, theirs = getattr(self, f"{what}_names"), getattr(history, f"{what}_names")
            if absent := [name for name in ours if name not in theirs]:
                kind = "target columns" if what == "target" else f"{what} covariates"
                raise DataError(f"the {kind} {', '.join(map(repr, absent))} are missing; the fit had them")
            if extra := [name for name in theirs if name not in ours]:
                raise DataError(f"{what} has {', '.join(map(repr, extra))}, which the fit did not have; leave them out")
        ours, theirs = tuple(column.name for column in self.static), history.static_names
        if ours != theirs:
            wanted = ", ".join(map(repr, ours)) or "none"
            raise DataError(f"static features are {', '.join(map(repr, theirs)) or 'none'}; in training: {wanted}")
        if self.calendar and history.times is None:
            raise DataError("the series have no dates, and the forecaster was fitted with dates; pass dates=")

    def plain(self) -> dict[str, Any]:
        """The preparation as a dictionary of lists, texts and scalers."""
        found: dict[str, Any] = {name: list(getattr(self, name)) for name in NAMES}
        found |= {name: getattr(self, name) for name in ("missing", "scaling", "targets", "past", "future", "named")}
        return found | {"static": [column.plain() for column in self.static]}

    @classmethod
    def of_plain(cls, plain: dict[str, Any]) -> Self:
        """The preparation that `plain` wrote. Raises ValueError or TypeError for one that it never writes."""
        try:
            names = {
                name: tuple(map(str, plain[name]))
                for name in ("target_names", "past_names", "future_names", "calendar")
            }
            static = tuple(StaticColumn.of_plain(column) for column in plain["static"])
            made = cls(**{**plain, **names, "static": static})
        except (KeyError, AttributeError) as error:
            raise ValueError(f"the preparation is incomplete: {error}") from None
        made._check_plain()
        return made

    def _check_plain(self) -> None:
        scalers = [*((self.target_names, own) for own in self.targets.values())]
        scalers += [(self.past_names, self.past), (self.future_names, self.future)]
        for names, scaler in scalers:
            if (scaler is None) == bool(names) or (scaler is not None and len(scaler.center) != len(names)):
                raise ValueError(f"the columns {', '.join(names)} have no scaler, or one of another size")
        if self.missing not in ("error", "mask", "impute") or self.scaling not in SCALINGS or not self.targets:
            raise ValueError(f"missing is {self.missing!r}, scaling {self.scaling!r}, scalers {len(self.targets)}")
        if unknown := [name for name in self.calendar if name.rpartition("_")[0] not in CYCLE_DAYS]:
            raise ValueError(f"the calendar has no {unknown[0]!r}")


def scaler_of(values: list[NDArray[Any]], scaling: str) -> Scaler:
    """Centre and spread of each column: mean and deviation, median and quartiles, or 0 and 1. NaN is left out."""
    found = Scaler.of(values)
    if scaling == "none":
        return Scaler(np.zeros_like(found.center), np.ones_like(found.spread))
    if scaling == "standard":
        return found
    rows = np.concatenate(values).astype(np.float64)
    rows = np.where(np.isnan(rows).all(0), 0.0, rows)
    low, middle, high = np.nanquantile(rows, [0.25, 0.5, 0.75], axis=0)
    spread = (high - low) / NORMAL_QUARTILES
    return Scaler(middle, np.where(spread > 1e-12 * np.maximum(1, np.abs(middle)), spread, found.spread))


def _scaled(sequences: Sequences, scaler: Scaler) -> Sequences:
    return replace(sequences, values=[scaler.apply(own) for own in sequences.values])


def _side_by_side(parts: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Columns of one series joined, as far as the shortest goes."""
    rows = min(map(len, parts))
    return np.column_stack([part[:rows] for part in parts])


def _static_columns(history: History) -> list[StaticColumn]:
    if history.static is None:
        return []
    return [StaticColumn.of(name, history.static[:, at]) for at, name in enumerate(history.static_names)]


def _cycles(history: History) -> Columns:
    """The calendar features whose cycle the series with the longest span holds often enough."""
    if not history.times or any(index.times.dtype.kind == "f" for index in history.times):
        return ()
    _, names = calendar_features(history.times[0])
    days = max(float((index.times[-1] - index.times[0]) / np.timedelta64(1, "D")) for index in history.times)
    return tuple(name for name in names if days >= CYCLES_SEEN * CYCLE_DAYS[name.rpartition("_")[0]])


def _calendar(index: TimeIndex, ahead: int, names: Columns) -> NDArray[np.float64]:
    """Calendar features (rows + ahead, features) of a series."""
    times = index.times
    if ahead:
        times = np.concatenate([times, index.extend(ahead).times])
    values, there = calendar_features(TimeIndex(times, index.frequency, index.zone))
    if absent := [name for name in names if name not in there]:
        cycle = absent[0].rpartition("_")[0]
        raise DataError(f"the dates have no {cycle}, which training had; give dates of the same step")
    return values[:, [there.index(name) for name in names]]
