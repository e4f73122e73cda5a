"""Forecasters: a table of series whose last rows are held out and forecast from origins that roll through them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from carousel.cli.studies.base import Study
from carousel.cli.studies.forecasts import examples, horizons, worst
from carousel.data import DataError, read_table
from carousel.report import DataSummary, Labels, Line, Part, Results, Score, look_inside
from carousel.tasks import Forecaster, SequenceEstimator
from carousel.tasks.forecasting import Backtest
from carousel.tasks.forecasting.backtest import MODEL
from carousel.tasks.forecasting.history import History
from carousel.training import Report

DRAWN_STEPS = 1000
NAME = "LSTM"


@dataclass(frozen=True)
class ForecastColumns:
    """Which table is read, and how much of it is held out; the columns' roles are parameters of the Forecaster."""

    path: str | None = field(default=None, metadata={"help": "the data: a table (.csv .tsv .parquet .npz)"})
    test_fraction: float = field(default=0.1, metadata={"help": "last share of each series, held out to measure on"})
    step: int = field(default=1, metadata={"help": "rows between the origins of the forecasts that are measured"})


class ForecastStudy(Study):
    """Series that are forecast: learned from their first rows, measured on their last ones."""

    columns: ClassVar[type] = ForecastColumns

    def __init__(self, estimator: SequenceEstimator, columns: ForecastColumns, seed: int) -> None:
        assert isinstance(estimator, Forecaster)
        if columns.step < 1:
            raise DataError(f"step is {columns.step}; the origins of the forecasts lie 1 row or more apart")
        self.estimator, self.settings = estimator, columns
        self.history = estimator._read(read_table(columns.path or ""))
        self.start = _start(self.history.lengths, columns.test_fraction, estimator.horizon)

    def fit_reports(self, checkpoint: Path) -> Iterator[Report]:
        train = self.history.head(self.start, ahead=self.estimator.horizon)
        return self.estimator.fit_reports(train, checkpoint=checkpoint)

    def results(self) -> Results:
        self.backtest = self.estimator.evaluate(self.history, start=self.start, step=self.settings.step)
        share = f"the last {self.settings.test_fraction:.0%} of the rows, which training did not see"
        return _results(self.backtest, share)

    def findings(self) -> dict[str, Any]:
        found = self.backtest
        return {
            "data": self._summary(),
            "forecast": horizons(found, examples(found), NAME),
            "worst": worst(found),
            "memory": self._memory(),
        }

    def _summary(self) -> Any:
        history, names = self.history, self.history.target_names
        first, held = history.targets[0], history.lengths - self.start
        lines = [Line(name, first[-DRAWN_STEPS:, at], "truth") for at, name in enumerate(names)]
        parts = (
            Part("training", len(history), int(self.start.sum())),
            Part("test, the last rows", len(history), int(held.sum())),
        )
        return DataSummary(
            tuple(history.lengths),
            (*names, *history.past_names, *history.future_names, *history.static_names),
            targets=names,
            source=self.settings.path,
            parts=parts,
            notes=_notes(history, self.estimator),
            example_name=history.ids[0],
            example=tuple(lines),
            example_time=_texts(history, 0)[-len(lines[0].values) :] or None,
        )

    def _memory(self) -> Any:
        history, estimator = self.history, self.estimator
        last = history.take([0]).head(self.start[0], ahead=estimator.horizon)
        labels = Labels(f"the {estimator.lstm_context_} steps of {history.ids[0]!r} before the held-out part")
        return look_inside(estimator.network_, lambda: estimator.forecast(last), labels)

    @classmethod
    def predictions(cls, estimator: Any, columns: Any, path: Path) -> dict[str, Any]:
        history = estimator._read(read_table(path))
        forecast = estimator.forecast(history)
        table = forecast.columns(tuple(estimator._setting("quantiles")))
        names = {"unique_id": estimator.series or "series", "ds": estimator.time or "time"}
        if history.single:
            del table["unique_id"]
        return {names.get(name, name): column for name, column in table.items()}

    @classmethod
    def evaluation(cls, estimator: Any, columns: Any, path: Path | None) -> Results:
        assert path is not None
        history = estimator._read(read_table(path))
        found = estimator.evaluate(history, step=columns.step)
        return _results(found, f"the rows of {path} behind the first {estimator.context_}")


def _start(lengths: NDArray[np.int64], fraction: float, horizon: int) -> NDArray[np.int64]:
    """The first held-out row of each series: at least one horizon is held out."""
    if not 0 < fraction < 1:
        raise DataError(f"test_fraction is {fraction:g}; it must lie between 0 and 1, both excluded")
    return np.maximum(lengths - np.maximum((fraction * lengths).astype(np.int64), horizon), 0)


def _results(found: Backtest, measured_on: str) -> Results:
    """Absolute errors decide for one series, scaled errors for several, whose units may differ."""
    metric = "mae" if len(found.history) == 1 else "mase"
    scores = [
        Score(NAME if name == MODEL else name, dict(values), is_model=name == MODEL)
        for name, values in found.scores.items()
    ]
    where = f"{len(found)} forecasts of {found.truth.shape[1]} steps, from origins that roll through {measured_on}"
    return Results(tuple(scores), metric, True, where)


def _notes(history: History, estimator: Forecaster) -> tuple[str, ...]:
    missing = sum(int(np.isnan(own).sum()) for own in history.targets)
    notes = [
        f"A forecast rests on {estimator.context_} steps; the season is {estimator.season_} steps.",
        "Scaling and calibration were fitted on the training part alone.",
    ]
    return (*notes, f"{missing} missing values; nan={estimator.nan!r}.") if missing else tuple(notes)


def _texts(history: History, series: int) -> tuple[str, ...]:
    return () if history.times is None else tuple(history.times[series].texts())
