"""Realistic findings of every task, made up from formulas, for tests and for looking at the page."""

import math
from dataclasses import replace
from typing import Any

import numpy as np

from carousel import report
from tests.report.transcripts import transcripts

LENGTH, HORIZON = 24 * 14, 48


def load(steps: int, phase: float = 0.0, seed: int = 0) -> np.ndarray:
    """A made-up hourly load: a day's rhythm, a weekly one, and noise."""
    t = np.arange(steps) + phase
    noise = np.random.default_rng(seed).normal(0, 1.1, steps)
    week = 1 - 0.18 * (np.mod(t / 24, 7) >= 5)
    return 42 + 14 * week * np.sin(2 * np.pi * (t - 8) / 24) + 4 * np.sin(2 * np.pi * t / 168) + noise


def hours(count: int) -> tuple[str, ...]:
    start = np.datetime64("2026-03-02T00")
    return tuple(str(start + np.timedelta64(k, "h")) + ":00" for k in range(count))


def curves(epochs: int = 34, best: int = 26) -> report.Learning:
    history = []
    for epoch in range(1, epochs + 1):
        fall = math.exp(-epoch / 6)
        validation = 0.19 + 0.75 * fall + 0.0022 * max(0, epoch - best) + 0.006 * math.sin(epoch * 1.7)
        history.append({"epoch": epoch, "loss": 0.14 + 0.9 * fall, "validation": validation, "seconds": 1.2 * epoch})
    return report.learning(history, stopped="the validation loss has not fallen for 8 epochs")


def memory(steps: int = 168, units: int = 24) -> report.MemoryFindings:
    t = np.arange(steps)
    rows: dict[str, list] = {"input": [], "forget": [], "output": [], "cell": []}
    for unit in range(units):
        rate = 2 * np.pi / (24 if unit % 3 else 168)
        keep = 0.55 + 0.44 * unit / units
        rows["input"].append(1 / (1 + np.exp(-2.5 * np.sin(rate * t + unit))))
        rows["forget"].append(np.clip(keep + 0.1 * np.sin(rate * t - unit / 2), 0, 1))
        rows["output"].append(1 / (1 + np.exp(-2 * np.cos(rate * t + unit * 0.7))))
        rows["cell"].append((0.5 + 1.6 * unit / units) * np.sin(rate * t + 0.4 * unit))
    lags = np.arange(steps)
    return report.MemoryFindings(
        sequence="Last week of 'plant A'",
        inputs=(report.Line("load", load(steps)), report.Line("temperature", 20 + 9 * np.sin(2 * np.pi * t / 24))),
        gates=tuple(
            report.ActivationMap(f"{name} gate {name[0]}", rows[name]) for name in ("input", "forget", "output")
        ),
        cell_state=report.ActivationMap("cell state c", rows["cell"]),
        units=tuple(range(units)),
        units_total=64,
        order="those with the most open forget gate on top",
        layer="layer 2 of 2",
        gradients=(
            report.GradientFlow("cell state", "the norm of ∂h_T / ∂c_t", (None, *np.exp(-lags[1:] / 22))),
            report.GradientFlow(
                "input", "the norm of ∂h_T / ∂x_t", 0.4 * np.exp(-lags / 19) * (1.2 + np.cos(lags / 3.8))
            ),
        ),
        time=hours(steps),
        jacobians=(
            report.GradientFlow("hidden", "the largest singular value of ∂h_T / ∂h_{T-q}", np.exp(-lags / 3)),
            report.GradientFlow("carousel", "the product of the forget gates", np.exp(-lags / 40)),
        ),
    )


def example(index: int) -> report.ForecastExample:
    values = load(5 * 24 + HORIZON, phase=31 * index, seed=index)
    past, truth = values[: 5 * 24], values[5 * 24 :]
    middle = load(5 * 24 + HORIZON, phase=31 * index, seed=99)[5 * 24 :] * 0.25 + truth * 0.7 + 2
    width = 1.2 + 0.06 * np.arange(HORIZON)
    intervals = tuple(
        report.Interval(level, middle - scale * width, middle + scale * width)
        for level, scale in ((0.8, 1.3), (0.95, 2.2))
    )
    return report.ForecastExample(f"plant {'ABCD'[index]}", past, truth, middle, intervals, hours(len(values)))


def by_horizon() -> dict[str, Any]:
    steps = np.arange(1, HORIZON + 1)
    return {
        "errors": (
            report.HorizonError("LSTM", 1.1 + 0.8 * np.sqrt(steps / 12), is_model=True),
            report.HorizonError("seasonal naive", 2.5 + 0.4 * np.sin(steps / 4)),
            report.HorizonError("linear autoregression", 1.4 + 0.95 * np.sqrt(steps / 10)),
        ),
        "coverage": (
            report.Coverage(0.8, 0.81 - 0.001 * steps, width=3 + 0.1 * steps),
            report.Coverage(0.95, 0.953 - 0.0012 * steps, width=5 + 0.17 * steps),
        ),
    }


def worst_forecast(index: int) -> report.WorstCase:
    values = load(96, phase=400 + 17 * index, seed=50 + index)
    lines = (
        report.Line("past", values[:60], "past"),
        report.Line("what came", values[60:] + 9, "truth", start=60),
        report.Line("predicted", values[60:] * 0.9, "model", start=60),
    )
    return report.WorstCase(f"plant {'BDAC'[index]}, window {index + 3}", lines, error=9.1 - index)


def forecast() -> report.Findings:
    arrays = [np.stack([load(LENGTH, k * 7, k), 20 + 9 * np.sin(np.arange(LENGTH) / 3.8)], 1) for k in range(8)]
    data = report.summarise(
        arrays, ["load", "temperature"], targets=("load",), source="demand.csv", example_name="plant A",
        example_time=hours(LENGTH),
        parts=(report.Part("training", 8, 2150), report.Part("validation", 8, 269), report.Part("test", 8, 269)),
        notes=("Scaling was fitted on the training part alone.",),
    )  # fmt: skip
    scores = (
        report.Score("seasonal naive", {"MAE": 2.63, "RMSE": 3.71, "MASE": 1.0}),
        report.Score("linear autoregression", {"MAE": 2.78, "RMSE": 3.64, "MASE": 1.06}),
        report.Score("LSTM", {"MAE": 2.31, "RMSE": 3.12, "MASE": 0.88}, is_model=True),
    )
    return report.Findings(
        title="Forecast of load, 48 hours ahead", task="forecast", created="2026-11-21T10:12:00+00:00",
        command="carousel fit forecast demand.csv --target load --horizon 48 --out runs/demand",
        data=data, learning=curves(), results=report.Results(scores, "MAE", lower_is_better=True),
        cell=report.cell_findings("lstm"),
        forecast=report.ForecastFindings(tuple(example(k) for k in range(4)), **by_horizon()),
        worst=tuple(worst_forecast(k) for k in range(4)), memory=memory(),
        settings={"hidden_size": 64, "num_layers": 2, "learning_rate": 0.001, "lstm_options": {"zoneout": 0.1}},
        versions={"carousel-lstm": "0.1.0", "torch": "2.13.0", "python": "3.11.7"},
    )  # fmt: skip


def losing() -> report.Findings:
    """The forecast, where a baseline wins."""
    scores = (
        report.Score("seasonal naive", {"MAE": 2.63}),
        report.Score("linear autoregression", {"MAE": 2.22}),
        report.Score("LSTM", {"MAE": 2.31}, is_model=True),
    )
    return replace(forecast(), results=report.Results(scores, "MAE", lower_is_better=True))


def vowel(index: int, channels: int = 3) -> tuple[report.Line, ...]:
    t = np.arange(18 + index)
    return tuple(
        report.Line(f"coefficient {k + 1}", np.sin(t / (2 + k) + index) * (1 - k / 5)) for k in range(channels)
    )


def classification() -> report.Findings:
    labels = tuple(f"speaker {k}" for k in range(1, 10))
    confusion = (
        np.diag([30, 34, 86, 43, 28, 23, 39, 48, 27]) + np.eye(9, k=2, dtype=int) + 2 * np.eye(9, k=-4, dtype=int)
    )
    arrays = [np.stack([np.sin(np.arange(7 + k % 23) / (2 + c)) for c in range(12)], 1) for k in range(270)]
    scores = (
        report.Score("majority class", {"accuracy": 0.238, "balanced accuracy": 0.111}),
        report.Score("LSTM", {"accuracy": 0.9527, "balanced accuracy": 0.947}, is_model=True),
    )
    worst = tuple(
        report.WorstCase(
            f"test sequence {17 * k + 5}",
            vowel(k),
            error=3.2 - k / 4,
            predicted=f"speaker {k + 1} (0.9{k})",
            truth=f"speaker {k + 5}",
        )
        for k in range(4)
    )
    return report.Findings(
        title="Who speaks: Japanese vowels", task="classify", created="2026-11-21T10:14:00+00:00",
        command="carousel fit classify data/ --out runs/vowels",
        data=report.summarise(arrays, targets=("speaker",), source="data/"), learning=curves(8, 8),
        results=report.Results(scores, "accuracy", lower_is_better=False), cell=report.cell_findings("peephole"),
        classes=report.ClassFindings(labels, confusion), worst=worst, memory=memory(26, 12),
        settings={"hidden_size": 32, "bidirectional": True}, versions={"carousel-lstm": "0.1.0"},
    )  # fmt: skip


def regression() -> report.Findings:
    truth = np.random.default_rng(3).gamma(4, 2, 240)
    predicted = truth * 0.94 + np.random.default_rng(4).normal(0.3, 0.7, 240)
    base = classification()
    scores = (
        report.Score("mean", {"RMSE": 4.0, "R²": 0.0}),
        report.Score("LSTM", {"RMSE": 0.74, "R²": 0.96}, is_model=True),
    )
    return replace(
        base, title="Hours of life left", task="regress", classes=None, cell=report.cell_findings("coupled"),
        results=report.Results(scores, "RMSE", lower_is_better=True),
        regression=report.RegressionFindings(truth, predicted, "hours left"),
    )  # fmt: skip


def labelling() -> report.Findings:
    rng = np.random.default_rng(8)
    names = ["silence", "vowel", "consonant", "click"]
    truth = [names[k] for k in np.repeat(rng.integers(0, 4, 30), 6)]
    predicted = [name if rng.random() > 0.12 else names[int(rng.integers(0, 4))] for name in truth]
    scores = (
        report.Score("majority label", {"accuracy": 0.41}),
        report.Score("LSTM", {"accuracy": 0.883}, is_model=True),
    )
    example = report.LabelExample("utterance 4", truth, predicted)
    matrix = rng.integers(0, 60, (4, 4)) + np.diag([900, 700, 800, 200])
    return replace(
        classification(), title="Phones, frame by frame", task="label", cell=report.cell_findings("lstm1997"),
        results=report.Results(scores, "accuracy", lower_is_better=False), classes=report.ClassFindings(names, matrix),
        labels=report.LabelFindings(0.9 - 0.25 * np.exp(-np.arange(20) / 3), examples=(example,)),
    )  # fmt: skip


def control() -> report.Findings:
    t = np.arange(160)
    angle, pushes = 0.05 * np.sin(t / 5) * np.exp(-t / 90), (np.sin(t / 5) > 0).astype(float)
    history = [
        {"epoch": k, "loss": -20.0 - 25 * k, "validation": -30.0 - 26 * k, "seconds": 2.0 * k} for k in range(1, 15)
    ]
    lines = (
        report.Line("angle", angle),
        report.Line("action", pushes, "model"),
        report.Line("reward", np.ones(160), "truth"),
    )
    scores = (
        report.Score("random actions", {"return": 22.4}),
        report.Score("LSTM", {"return": 471.0}, is_model=True),
    )
    return replace(
        classification(), title="CartPole without velocities", task="control", classes=None, worst=(),
        data=report.summarise([angle[:, None]], ["angle"], source="CartPole-v1", example=()),
        learning=report.learning(history, stopped="all epochs are done"),
        results=report.Results(scores, "return", lower_is_better=False),
        control=report.ControlFindings(lines, 160.0),
    )  # fmt: skip


def spoken(index: int) -> report.KeywordExample:
    """Three keywords in four seconds; the second is missed in the last recording, and a false alarm stands there."""
    t = np.arange(200)
    peaks = {"Montag": 40 + 5 * index, "Termin": 90, "Hamburg": 150}
    heights = {"Montag": 0.98, "Termin": 0.9 if index < 1 else 0.3, "Hamburg": 0.7}
    outputs = [report.KeywordOutput(word, heights[word] * np.exp(-(((t - at) / 4) ** 2))) for word, at in peaks.items()]
    marks = [
        report.KeywordMark(word, 0.02 * (at - 3), 0.02 * (at + 3), heights[word])
        for word, at in peaks.items()
        if heights[word] > 0.5
    ]
    return report.KeywordExample(f"wav/{index}.wav", ("Montag", "Termin", "Hamburg")[: 3 - index], outputs, marks, 0.02)


def spotting() -> report.Findings:
    counts = {"Montag": (31, 33, 30), "Termin": (24, 21, 21), "Hamburg": (18, 19, 12), "Januar": (0, 1, 0)}
    points = [
        report.ThresholdPoint(k / 20, 1 - (k / 20) ** 3, 0.6 + k / 60, 80 * (1 - k / 20) ** 3) for k in range(1, 20)
    ]
    scores = (
        report.Score("no keyword ever", {"accuracy": 0.0, "recall": 0.0}),
        report.Score("LSTM", {"accuracy": 0.81, "recall": 0.86}, is_model=True),
    )
    return replace(
        classification(), title="Keywords of dialogues", task="spot", classes=None, worst=(),
        results=report.Results(scores, "accuracy", lower_is_better=False),
        keywords=report.KeywordFindings(
            tuple(report.KeywordScore(word, *own) for word, own in counts.items()), 0.5, points,
            tuple(spoken(k) for k in range(2)),
        ),
    )  # fmt: skip


def transcription() -> report.Findings:
    scores = (
        report.Score("commonest text", {"cer": 0.81, "wer": 1.0}),
        report.Score("LSTM", {"cer": 0.0912, "wer": 0.41}, is_model=True),
    )
    return replace(
        classification(), title="Digits, spoken", task="transcribe", classes=None, worst=(),
        results=report.Results(scores, "cer", lower_is_better=True), transcription=transcripts(),
    )  # fmt: skip


ALL = {
    "forecast": forecast,
    "losing": losing,
    "classify": classification,
    "regress": regression,
    "label": labelling,
    "control": control,
    "spotting": spotting,
    "transcribe": transcription,
}
