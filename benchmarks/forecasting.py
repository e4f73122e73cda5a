"""Forecasting: rolling origins over the last tenth of real series, beside simple rules and a rival's LSTM."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import command_line, environment
from benchmarks.machine import THREADS, Seconds, described, load, timed
from benchmarks.results import OURS, Entry, Result
from carousel import metrics
from carousel.data import Table, datasets, read_table, write_csv
from carousel.tasks.forecasting import Backtest, Forecaster

SEEDS = (0, 1, 2)
METRICS = ["mae", "rmse", "mase", "pinball", "coverage"]
MODEL = "model"


@dataclass(frozen=True)
class Series:
    """A series to forecast: a CSV with the columns ds and y, steps ahead, and the frequency in pandas' words."""

    name: str
    path: Path
    horizon: int
    frequency: str
    about: str

    @property
    def table(self) -> Table:
        """The whole series."""
        return read_table(self.path)

    @property
    def first(self) -> int:
        """The first row of the last tenth."""
        rows = len(self.table)
        return rows - max(rows // 10, self.horizon)


def results() -> Iterator[Result]:
    """Measure one series after the other."""
    for series in all_series(environment.data()):
        yield measured(series)


def all_series(folder: Path) -> list[Series]:
    """The series, their files in a folder."""
    write_csv(folder / "co2.csv", _weeks_without_gaps())
    return [
        Series(
            "co2", folder / "co2.csv", 26, "W-SAT", "carbon dioxide at Mauna Loa, 2,284 weeks; shipped with carousel"
        ),
        Series(
            "elecdemand",
            folder / "elecdemand.csv",
            48,
            "30min",
            "electricity demand of Victoria, 17,520 half-hours; fpp2",
        ),
        Series(
            "taylor", folder / "taylor.csv", 48, "30min", "electricity demand of England, 4,032 half-hours; forecast"
        ),
    ]


def _weeks_without_gaps() -> dict[str, Any]:
    """The weekly record, each missing week as the one before it: the rival takes no missing values."""
    table = datasets.load("co2")
    values = table.column("ppm")
    known = np.maximum.accumulate(np.where(np.isnan(values), 0, np.arange(len(values))))
    return {"ds": np.datetime_as_string(table.column("date").astype("M8[D]")), "y": values[known]}


def measured(
    series: Series, *, seeds: Sequence[int] = SEEDS, rival: bool = True, options: Mapping[str, Any] | None = None
) -> Result:
    """Our forecaster with its defaults (or options), the simple rules, the rival, and the command line."""
    before = load()
    ours, found, context = _ours(series, seeds, options or {})
    simple = [Entry(name, "baseline", _listed(scores)) for name, scores in found.scores.items() if name != MODEL]
    entries = [ours, *simple, *([_rival(series, found)] if rival else [])]
    entries.append(_by_command_line(series, context, options))
    return Result(
        name=f"forecasting-{series.name}",
        title=f"Forecasting {series.name}, {series.horizon} steps ahead",
        data=series.about,
        protocol=(
            f"Every origin in the last tenth, {len(found):,} forecasts of {series.horizon} steps. Each side learns "
            "once, from the rows before, with its defaults: it is told the horizon and the target. One thread each, "
            f"one after the other. Ours with seeds {', '.join(map(str, seeds))}, the rival with its own."
        ),
        metrics=METRICS,
        lower_is_better=True,
        entries=entries,
        command="python -m benchmarks forecasting",
        machine=described(),
        load=[before, load()],
        notes=_notes(series, context),
    )


def _ours(series: Series, seeds: Sequence[int], options: Mapping[str, Any]) -> tuple[Entry, Backtest, int]:
    """Our entry; the forecasts of the last seed; the context that it chose."""
    seconds = Seconds()
    tries = [_once(series, seed, options, seconds) for seed in seeds]
    scores = [found.scores[MODEL] for _, found in tries]
    joined = {name: [one[name] for one in scores] for name in METRICS}
    context, found = tries[-1]
    return Entry(f"{OURS}.Forecaster", "ours", joined, seconds), found, context


def _once(series: Series, seed: int, options: Mapping[str, Any], seconds: Seconds) -> tuple[int, Backtest]:
    table = series.table
    head = table.take(np.arange(series.first))
    model = Forecaster(horizon=series.horizon, target="y", random_state=seed, **options)
    with timed("fit", seconds):
        model.fit(head)
    with timed("predict", seconds):
        found = model.evaluate(table, start=series.first)
    return model.context_, found


def _listed(scores: Mapping[str, float]) -> dict[str, list[float]]:
    return {name: [scores[name]] for name in METRICS if name in scores and name != "pinball"}


def _rival(series: Series, found: Backtest) -> Entry:
    request = {
        "series": series.path.name,
        "horizon": series.horizon,
        "frequency": series.frequency,
        "first": series.first,
        "threads": THREADS,
        "options": {},
    }
    answer = environment.answer("neuralforecast_lstm.py", f"neuralforecast-{series.name}", request)
    forecasts = np.asarray(answer["forecasts"])[..., None]
    if forecasts.shape != found.truth.shape:
        raise RuntimeError(f"the rival made forecasts {forecasts.shape}, ours are {found.truth.shape}")
    scores = {
        "mae": [metrics.mae(found.truth.ravel(), forecasts.ravel())],
        "rmse": [metrics.rmse(found.truth.ravel(), forecasts.ravel())],
        "mase": [float(np.mean(np.abs(found.truth - forecasts) / found.scale[:, None]))],
    }
    seconds = {f"{step}_{kind}": [value] for step, own in answer["seconds"].items() for kind, value in own.items()}
    release, steps = answer["versions"]["neuralforecast"], answer["input_size"]
    about = f"neuralforecast {release}, {answer['weights']:,} weights, reads {steps} steps; load {answer['load']}"
    return Entry("neuralforecast LSTM", "rival", scores, seconds, about)


def _by_command_line(series: Series, context: int, options: Mapping[str, Any] | None) -> Entry:
    """The test file is the last tenth with one context before it, so that `evaluate` has the same origins."""
    folder = command_line.RUNS / "data"
    folder.mkdir(parents=True, exist_ok=True)
    train, test = folder / f"{series.name}_train.csv", folder / f"{series.name}_test.csv"
    header, *lines = series.path.read_text(encoding="utf-8").splitlines(keepends=True)
    train.write_text(header + "".join(lines[: series.first]), encoding="utf-8")
    test.write_text(header + "".join(lines[series.first - context :]), encoding="utf-8")
    fit = ("forecast", series.path, "--target", "y", "--horizon", str(series.horizon))
    entry = command_line.fit_and_evaluate(fit, test, command_line.RUNS / series.name, options)
    entry.scores = {name: entry.scores[name] for name in METRICS if name in entry.scores and name != "mase"}
    return entry


def _notes(series: Series, context: int) -> list[str]:
    notes = [
        f"Our forecaster chose a context of {context} steps by itself; the rival reads three horizons by default, and "
        "longer contexts of the rival were not tried.",
        "Our seconds of prediction include making and scoring the simple forecasts.",
        "The rival makes no quantiles by default, so it has no pinball loss and no coverage; coverage should be 0.80.",
    ]
    if series.name == "co2":
        notes.append("59 weeks without a value were filled with the week before, for every side.")
        notes.append(
            "This tenth is no unseen test of one choice: with one scale a series, the default before, ours had an MAE "
            "of 0.7531 and lost to linear autoregression and to the rival; each window is scaled by itself since, and "
            "that figure was known when the default changed."
        )
    return notes
