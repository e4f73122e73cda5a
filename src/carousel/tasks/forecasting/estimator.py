"""The Forecaster: fit on series, forecast the steps after their ends."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from os import PathLike
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted
from torch import nn

from carousel.data import Batches, DataError, Panel, Windows, last_windows
from carousel.tasks.base import Material
from carousel.tasks.forecasting.backtest import MODEL, Backtest, Rolling, median_of, seasonal_scales
from carousel.tasks.forecasting.baselines import SEASONAL, baseline_forecasts
from carousel.tasks.forecasting.batches import DrawnWindows, Ready
from carousel.tasks.forecasting.conformal import Conformal
from carousel.tasks.forecasting.forecast import Forecast
from carousel.tasks.forecasting.history import History
from carousel.tasks.forecasting.network import NETWORKS, ForecastNetwork, Layout
from carousel.tasks.forecasting.online import joined, new_windows
from carousel.tasks.forecasting.options import ForecastParameters
from carousel.tasks.forecasting.preparation import Preparation
from carousel.tasks.forecasting.reading import Given, read_history, with_future
from carousel.tasks.forecasting.season import MOST_READ, guess_context, guess_season
from carousel.tasks.forecasting.windows import Split, check_long_enough, start_of, window_values
from carousel.training import Plan, Report

PREDICTION_BATCH = 256
VALIDATION_WINDOWS = 512
CALIBRATION_WINDOWS = 2048
MOST_DRAWN = 2048
Floats = NDArray[np.float64]


@dataclass(kw_only=True, eq=False, repr=False)
class Forecaster(ForecastParameters):
    """Forecast series with an LSTM: a median and quantiles that do not cross, calibrated on a held-out part.

    The LSTM corrects a linear forecast (`base`), so that it only has to learn what a line cannot say. Series, columns
    and dates are given as arrays, lists, mappings or frames (see `fit`).
    """

    _learned: ClassVar[dict[str, Any]] = {
        "context_": int,
        "lstm_context_": int,
        "season_": int,
        "preparation_": dict,
        "conformal_": dict,
        "tail_": dict,
    }
    _method_defaults: ClassVar[dict[str, Any]] = {"schedule": "one_cycle"}

    @final
    def fit(
        self, y: Any, X: Any = None, *, past: Any = None, future: Any = None, static: Any = None, dates: Any = None
    ) -> Self:
        """Learn from series.

        y: one series (time,); univariate series as rows of a table (series, time); (series, time, targets); a list of
            (time,) or (time, targets) arrays; a mapping from names to such arrays; or a frame: long, with a column that
            names the series (unique_id, ds and y are found), or wide, with one series.
        X: not used; it is there for scikit-learn.
        past, future: covariates known up to the present, or ahead, one array (time, columns) a series, as many rows as
            the series (future ones may have more). static: one row a series, numbers or texts. dates: one array for
            all series, or one a series. For frames, the parameters name the columns instead.

        Raises DataError (a ValueError) or TypeError, before training, for data that cannot be used; DivergenceError
        when training diverges.
        """
        for _ in self.fit_reports(y, X, past=past, future=future, static=static, dates=dates):
            continue
        return self

    @final
    def fit_reports(
        self, y: Any, X: Any = None, *, checkpoint: str | PathLike[str] | None = None, **given: Any
    ) -> Iterator[Report]:
        """Check the data, then return a generator of reports that trains as it is consumed; `given` as for `fit`.

        Stop consuming at any time: the estimator is fitted from the first report on. With a `checkpoint` file the
        run is saved there, and resumed from there when the file exists.
        """
        _refuse_table(X)
        seed = self._begin()
        return self._fit_history(self._read(y, **given), seed, checkpoint)

    @final
    def partial_fit(self, y: Any, X: Any = None, **given: Any) -> Self:
        """Go on learning from the next rows of the series, one or more, in memory that does not grow.

        The first call is `fit`, which takes `given`: season, scale, the linear forecast and the calibration stay as it
        found them. Each later call improves the network once on every window that ends in the new rows, at a constant
        rate, and `predict()` goes on from their end. For series without covariates and dates.

        Raises DataError for other series than before.
        """
        _refuse_table(X)
        if not hasattr(self, "network_"):
            return self.fit(y, **given)
        history = joined(History.of_plain(self.tail_), self._read(y, **given))
        shape = self.context_, self.horizon
        windows = new_windows(history, Preparation.of_plain(self.preparation_), shape, self.batch_size)
        if windows is not None:
            online = self._going_on()
            for batch in windows.epoch(0):
                online.learn(batch)
        self.tail_ = history.tail(sum(shape) - 1).plain()
        return self

    def forecast(self, y: Any = None, **given: Any) -> Forecast:
        """Forecast the steps after the ends of series; `predict` in full, with `past`, `future`, `static`, `dates`."""
        history = self._continued(y, given)
        preparation = Preparation.of_plain(self.preparation_)
        self._check_ahead(history)
        panel = preparation.panel(history, ahead=self.horizon)
        quantiles = self._quantiles(Ready(last_windows(panel, self.context_, self.horizon)))
        return Forecast(
            ids=history.ids,
            targets=history.target_names,
            levels=self._conformal().levels,
            quantiles=preparation.undo(quantiles, history, np.arange(len(history))),
            times=history.times_ahead(self.horizon),
            single=history.single,
            flat=history.flat,
        )

    def predict(self, y: Any = None, **given: Any) -> Forecast:
        """Forecast the steps after the ends of the series y, or of those in training.

        y: the past, in any container that `fit` takes, of the same columns; at least `context_` rows. None goes on from
            the training series. `past`, `future`, `static` and `dates` as for `fit`; where there are future covariates,
            `future` must reach `horizon` steps past the end (for y=None and for frames it holds those steps alone).

        The answer holds the quantiles, names and times; as an array it is the median, ([series,] horizon[, targets]).
        Raises DataError for covariates that are missing, by name, or series that are too short.
        """
        return self.forecast(y, **given)

    def predict_quantiles(self, y: Any = None, levels: Any = None, **given: Any) -> Floats:
        """Quantiles in the shape of the median with a last axis of levels; by default the levels in `quantiles`."""
        found = self.forecast(y, **given)
        wanted = self._levels if levels is None else levels
        return np.stack([found.quantile(level) for level in np.atleast_1d(np.asarray(wanted))], axis=-1)

    def predict_interval(self, y: Any = None, coverage: float = 0.8, **given: Any) -> tuple[Floats, Floats]:
        """Lower and upper ends of intervals that hold the truth with probability `coverage`."""
        return self.forecast(y, **given).interval(coverage)

    def backtest(
        self, y: Any, *, windows: int | None = None, step: int = 1, refit: bool = False, **given: Any
    ) -> Backtest:
        """Forecast the last part of series from origins that roll through it, beside simple forecasts.

        windows: origins for each series; by default all in the last tenth. step: rows between origins. refit: learn
        anew before each origin; otherwise once, before the first. This forecaster itself stays as it is: what is
        measured is a copy that has not seen the rows that it forecasts.
        """
        history = self._read(y, **given)
        rolling = Rolling.before_the_end(history.lengths, self.horizon, windows, step)
        if not refit:
            return self._copy_fitted(history, rolling.first)._roll(history, rolling)
        parts = [self._copy_fitted(history, one.first)._roll(history, one) for one in rolling.each(self.horizon)]
        return Backtest.joined(parts)

    def evaluate(self, y: Any, *, start: Any = None, step: int = 1, **given: Any) -> Backtest:
        """Forecast series that training did not see, as it is, from origins that roll through them.

        start: the first row that is forecast, one for all series or one a series; by default the first that has a
        context before it. What comes before `start` is also what the simple forecasts beside it learn from.
        """
        check_is_fitted(self)
        history = self._read(y, **given)
        first = np.broadcast_to(self.context_ if start is None else start, len(history))
        return self._roll(history, Rolling(np.asarray(first, dtype=np.int64), history.lengths, step))

    def score(self, y: Any, X: Any = None, **given: Any) -> float:
        """How much better than the seasonal naive forecast the last horizon of each series is forecast.

        1 - mean absolute error / that of the seasonal naive forecast: 1 is perfect, 0 no better. Higher is better.
        """
        _refuse_table(X)
        history = self._read(y, **given)
        found = self._roll(history, Rolling.before_the_end(history.lengths, self.horizon, 1, 1))
        return 1 - found.scores[MODEL]["mae"] / max(found.scores[SEASONAL]["mae"], 1e-300)

    def _read(self, y: Any, **given: Any) -> History:
        return read_history(y, Given(**given), self._roles, self.nan)

    def _fit_history(self, history: History, seed: int, checkpoint: Any = None) -> Iterator[Report]:
        """Learn the preparation from the training part, and return the training itself."""
        self._check_options(history)
        self._choose_sizes(history)
        split = Split.of(history.lengths, self.validation_fraction, self.context_, self.horizon)
        train = history.head(split.stops, ahead=self.horizon)
        preparation = Preparation.of(
            train, self.nan, self.scaling, each_series=self.scale_of != "all", calendar=self._setting("calendar")
        )
        self.preparation_ = preparation.plain()
        self.conformal_ = Conformal.none(self._levels, self.horizon, len(history.target_names)).plain()
        self.tail_ = history.tail(self.context_).plain()
        held = history.take(split.held)
        validation = self._held_out(preparation.panel(held), split.stops[split.held]) if len(held) else None
        panel = preparation.panel(train)
        layout = self._layout()
        self._start = start_of(window_values(panel, layout), self.base, self.season_, self.strategy == "recursive")
        material = Material(self._training_windows(panel, seed), validation)
        return self._learn_and_finish(material, history, seed, checkpoint)

    def _learn_and_finish(self, material: Material, history: History, seed: int, checkpoint: Any) -> Iterator[Report]:
        try:
            yield from self._learn(material, seed, checkpoint)
        finally:
            vars(self).pop("_start", None)
            if material.validation is not None and hasattr(self, "network_"):
                self._calibrate(material.validation)
                self._refit_base(history)

    def _refit_base(self, history: History) -> None:
        """Fit the linear forecast anew, to the held-out rows too; what the network corrects stays as it learned it."""
        network = self.network_
        assert isinstance(network, ForecastNetwork)
        values = window_values(Preparation.of_plain(self.preparation_).panel(history), network.layout)
        start = start_of(values, self.base, self.season_, self.strategy == "recursive")
        with torch.no_grad():
            network.base.copy_(torch.as_tensor(start.base))

    def _calibrate(self, validation: Batches) -> None:
        """Move the quantiles to where they should be on the held-out windows."""
        assert isinstance(validation, Windows)
        windows = replace(validation, limit=CALIBRATION_WINDOWS)
        outputs = torch.cat(self._infer(windows), dim=1)
        batch = windows.gather(windows.order(0))
        assert batch.target is not None and batch.mask is not None
        truth = np.where(batch.mask.numpy(), batch.target.numpy(), np.nan)
        quantiles, truth = outputs.transpose(0, 1).numpy(), truth.swapaxes(0, 1)
        independent = windows.total / np.arange(1, self.horizon + 1)
        self.conformal_ = Conformal.of(self._levels, quantiles, truth, independent).plain()

    def _training_windows(self, panel: Panel, seed: int) -> Windows:
        windows = DrawnWindows(
            panel, self.context_, self.horizon, batch_size=self.batch_size, stride=self.stride, seed=seed
        )
        limit = self.windows_per_epoch or min(MOST_DRAWN, 2 * windows.total)
        return replace(windows, limit=limit, batch_size=self._items_at_once(limit))

    def _held_out(self, panel: Panel, first: NDArray[np.int64]) -> Windows:
        return Windows(
            panel,
            self.context_,
            self.horizon,
            batch_size=PREDICTION_BATCH,
            shuffle=False,
            first_target=first,
            limit=VALIDATION_WINDOWS,
        )

    def _plan(self, material: Material, seed: int, checkpoint: Any) -> Plan:
        """Without patience the last weights stay: one short stretch of time is too little to choose an epoch by."""
        plan = super()._plan(material, seed, checkpoint)
        return replace(plan, keep_best=self.patience is not None)

    def _check_options(self, history: History) -> None:
        _ = self._levels
        if self.strategy == "recursive" and history.past is not None:
            raise ValueError('strategy="recursive" has no forecasts of past covariates to go on with; use "direct"')
        if self.strategy == "recursive" and self.bidirectional:
            raise ValueError('strategy="recursive" reads forward, step by step; use bidirectional=False, or "direct"')

    def _choose_sizes(self, history: History) -> None:
        """Season and context, from the rows that are certain to be in the training part."""
        check_long_enough(history, self.context or 1, self.horizon)
        kept = np.maximum((history.lengths * (1 - self.validation_fraction)).astype(np.int64), 1)
        guessed, longest = (self.season,) * 2 if self.season else guess_season(history.head(kept), self.horizon)
        self.season_ = guessed
        self.context_ = self.context or guess_context(longest, self.horizon, int(kept.min()))
        self.lstm_context_ = min(self.lstm_context or MOST_READ, self.context_)
        check_long_enough(history, self.context_, self.horizon)

    def _layout(self) -> Layout:
        preparation = Preparation.of_plain(self.preparation_)
        return Layout(
            context=self.context_,
            read=self.lstm_context_,
            horizon=self.horizon,
            targets=len(preparation.target_names),
            past=len(preparation.past_names),
            future=preparation.future_width,
            static=preparation.static_width,
            flagged=self.nan == "mask",
            levels=self._levels,
            window_scaled=self.scale_of == "window",
        )

    def _network(self) -> nn.Module:
        network: ForecastNetwork = NETWORKS[self.strategy](self._lstm, self._layout(), self.dropout)
        if (start := vars(self).get("_start")) is not None:
            network.start_from(start)
        return network

    def _conformal(self) -> Conformal:
        return Conformal.of_plain(self.conformal_)

    def _quantiles(self, batches: Batches) -> Floats:
        """Calibrated quantiles (windows, horizon, targets, levels) of scaled windows."""
        outputs = torch.cat(self._infer(batches), dim=1).transpose(0, 1)
        return self._conformal().apply(outputs.double().numpy())

    def _continued(self, y: Any, given: dict[str, Any]) -> History:
        """The series to go on from."""
        check_is_fitted(self)
        if y is not None:
            return self._read(y, **given)
        history = History.of_plain(self.tail_)
        if unknown := [name for name in given if name != "future" and given[name] is not None]:
            raise TypeError(f"{', '.join(unknown)}= goes with y=; without y the training series go on")
        return history if given.get("future") is None else with_future(history, given["future"], self._roles)

    def _check_ahead(self, history: History) -> None:
        """Raise DataError unless all that is known ahead is given."""
        names = self.preparation_["future_names"]
        known = [] if history.future is None else [len(own) for own in history.future]
        short = [
            (series, rows - length)
            for series, rows, length in zip(history.ids, known, history.lengths, strict=False)
            if rows < length + self.horizon
        ]
        if names and (not known or short):
            what = f"; those of series {short[0][0]!r} reach {short[0][1]}" if short else ""
            raise DataError(
                f"the future covariates {', '.join(map(repr, names))} are needed for the {self.horizon} steps ahead"
                f"{what}; pass them as future="
            )

    def _copy_fitted(self, history: History, stops: NDArray[np.int64]) -> Self:
        """A copy of this forecaster that has learned from the first rows alone."""
        copy = type(self)(**self.get_params(deep=False))
        for _ in copy._fit_history(history.head(stops, ahead=self.horizon), copy._begin()):
            continue
        return copy

    def _roll(self, history: History, rolling: Rolling) -> Backtest:
        """Forecasts from every origin, beside those of the baselines, which learn from what lies before the first."""
        preparation, levels = Preparation.of_plain(self.preparation_), self._conformal().levels
        history = history.head(rolling.stop, ahead=self.horizon)
        windows = rolling.windows(preparation.panel(history, ahead=self.horizon), self.context_, self.horizon)
        series, origins = windows.origins(windows.order(0))
        quantiles = preparation.undo(self._quantiles(windows), history, series)
        simple = baseline_forecasts(
            history, rolling.first, (series, origins), (self.context_, self.horizon, self.season_)
        )
        found: dict[str, Any] = {"levels": levels, "trained": self._levels, "quantiles": quantiles}
        found["forecasts"] = {MODEL: median_of(quantiles, levels), **simple}
        found["scale"] = seasonal_scales(history, rolling.first, self.season_)[series]
        return Backtest.of(history, (series, origins), found)

    def _check_learned(self) -> None:
        preparation, tail = Preparation.of_plain(self.preparation_), History.of_plain(self.tail_)
        conformal = self._conformal()
        shape = (len(conformal.levels), self.horizon, len(preparation.target_names))
        if not 0 < self.lstm_context_ <= self.context_ or self.season_ < 1:
            raise ValueError(f"context {self.context_}, read {self.lstm_context_}, season {self.season_}")
        if conformal.shifts.shape != shape or conformal.trained != self._levels:
            raise ValueError(f"the calibration has shape {conformal.shifts.shape}, not {shape}, or other levels")
        if tail.target_names != preparation.target_names or min(map(len, tail.targets), default=0) < self.context_:
            raise ValueError("the ends of the training series do not fit the preparation")


def _refuse_table(X: Any) -> None:
    if X is not None:
        raise TypeError("X is not used; pass the series as y, and covariates as past=, future= and static=")
