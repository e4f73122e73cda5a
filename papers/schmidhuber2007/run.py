"""Evolino and Evoke on superimposed sines, Mackey-Glass and a^n b^n c^n, beside gradients, echo states and AR."""

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from carousel.data import Batch
from carousel.nn import FeedbackLSTM
from carousel.tasks import SequenceLabeler
from carousel.tasks.forecasting.batches import Ready
from carousel.training import BPTT, Evolino, Method, Plan, fit
from papers.experiment import Parts, Results
from papers.schmidhuber2007.baselines import Echo, autoregression, best_ahead, best_echo, echoes, run_on
from papers.schmidhuber2007.series import mackey_glass, nrmse, sines, word

Settings = dict[str, Any]
Floats = NDArray[np.float64]
AHEAD = 84


def parts(settings: Settings) -> Parts:
    """Each task, method and seed."""
    found: Parts = {f"sines {count} ar": partial(sines_ar, settings, count) for count in settings["sines"]}
    found["mackey ar"] = partial(mackey_ar, settings)
    for seed in range(settings["seeds"]):
        for count in settings["sines"]:
            found[f"sines {count} esn {seed}"] = partial(sines_esn, settings, count, seed)
            found[f"sines {count} evolino {seed}"] = partial(sines_evolino, settings, count, seed, "evolino")
            found[f"sines {count} gradient {seed}"] = partial(sines_gradient, settings, count, seed)
        found[f"mackey esn {seed}"] = partial(mackey_esn, settings, seed)
        found[f"mackey tuned {seed}"] = partial(mackey_tuned, settings, seed)
        found[f"mackey evolino {seed}"] = partial(mackey_evolino, settings, seed, "evolino")
        for largest in settings["words"]:
            found[f"words {largest} evolino {seed}"] = partial(words, settings, largest, seed, "evolino")
            found[f"words {largest} gradient {seed}"] = partial(words, settings, largest, seed, "gradient")
            found[f"words {largest} esn {seed}"] = partial(words_esn, settings, largest, seed)
    for seed in range(settings["evoke_seeds"]):
        found[f"mackey evoke {seed}"] = partial(mackey_evolino, settings, seed, "evoke")
        for count in settings["evoke_sines"]:
            found[f"sines {count} evoke {seed}"] = partial(sines_evolino, settings, count, seed, "evoke")
        for largest in settings["evoke_words"]:
            found[f"words {largest} evoke {seed}"] = partial(words, settings, largest, seed, "evoke")
    return found


def whole(target: Floats) -> Batch:
    """One batch of series (time, series), without inputs."""
    values = torch.from_numpy(np.ascontiguousarray(target)).unsqueeze(-1)
    return Batch(inputs=values[..., :0], indices=torch.arange(values.shape[1]), target=values)


def trained(model: FeedbackLSTM, batch: Batch, method: Method, epochs: int) -> list[float]:
    """Train on one batch; the loss of each epoch."""
    reports = list(fit(model, Ready(batch), method, Plan(epochs=epochs)))
    return [epoch["loss"] for epoch in reports[-1].history]


def dream(model: FeedbackLSTM, target: Floats, washout: int) -> Floats:
    """Free answers (time - washout, series) after a washout of that length."""
    model.washout = washout
    with torch.no_grad():
        answers: Tensor = model.eval()(whole(target))
    return answers[..., 0].numpy()


def network(settings: Settings, hidden: int, seed: int, backprojection: float) -> FeedbackLSTM:
    """A fresh network without inputs and with one answer."""
    torch.manual_seed(seed)
    place: dict[str, Any] = {"dtype": torch.float64, "cell": settings["cell"]}
    return FeedbackLSTM(0, hidden, 1, washout=settings["washout"], backprojection=backprojection, **place)


def sines_evolino(settings: Settings, count: int, seed: int, kind: str) -> dict[str, Any]:
    """Evolve on the steps before `taught`, and run free over those after it."""
    own = settings["sine"] | settings[f"sine_{kind}"]
    return _continued(settings, count, seed, own, Evolino(seed=seed, **own["method"]))


def sines_gradient(settings: Settings, count: int, seed: int) -> dict[str, Any]:
    """The same network, all of it learned by backpropagation through time and Adam with the truth fed back."""
    own = settings["sine"] | settings["sine_gradient"]
    return _continued(settings, count, seed, own, BPTT(**own["method"]))


def _continued(settings: Settings, count: int, seed: int, own: Settings, method: Method) -> dict[str, Any]:
    series = sines(settings["frequencies"][:count], settings["tested"])
    model = network(settings, own["hidden"][count - 2], seed, own["backprojection"])
    losses = trained(model, whole(series[: settings["taught"], None]), method, own["epochs"])
    run = dream(model, series[:, None], settings["taught"])[:, 0]
    return {"nrmse": nrmse(run, series[settings["taught"] :]), "losses": losses, "run": run.tolist()}


def sines_ar(settings: Settings, count: int) -> dict[str, Any]:
    """A linear autoregression of order 2k, which k sines obey exactly."""
    series, taught = sines(settings["frequencies"][:count], settings["tested"]), settings["taught"]
    weights = autoregression(series[:taught], 2 * count, settings["washout"])
    run = run_on(weights, series[:taught], settings["tested"] - taught)
    return {"nrmse": nrmse(run, series[taught:])}


def sines_esn(settings: Settings, count: int, seed: int) -> dict[str, Any]:
    """An echo state network, its three numbers chosen on the last part of the training steps."""
    series, taught = sines(settings["frequencies"][:count], settings["tested"]), settings["taught"]
    own = settings["echo"]
    echo = best_echo(echoes(own["units"], seed, **own["grid"]), series[:taught], settings["washout"], own["held"])
    run = echo.dreams(series[:taught], settings["washout"], [taught - 1], settings["tested"] - taught)[0]
    return {"nrmse": nrmse(run, series[taught:])}


def mackey(settings: Settings) -> tuple[Floats, list[int]]:
    """The series, moved by -1 (tanh would make it no easier for anybody), and the last steps before each test run."""
    own = settings["mackey"]
    series = mackey_glass(own["taught"] + own["tests"] * own["apart"] + AHEAD) - 1
    return series, [own["taught"] - 1 + number * own["apart"] for number in range(own["tests"])]


def mackey_evolino(settings: Settings, seed: int, kind: str) -> dict[str, Any]:
    """Evolve on windows of the training part; the error of the 84th free step over all test runs."""
    own, (series, starts) = settings["mackey"] | settings[f"mackey_{kind}"], mackey(settings)
    model = network(settings | {"washout": own["read"]}, own["hidden"], seed, own["backprojection"])
    length = own["read"] + own["free"]
    first = range(0, own["taught"] - length + 1, own["stride"])
    windows = np.stack([series[at : at + length] for at in first], axis=1)
    losses = trained(model, whole(windows), Evolino(seed=seed, **own["method"]), own["epochs"])
    tests = np.stack([series[start + 1 - own["read"] : start + 1 + AHEAD] for start in starts], axis=1)
    run = dream(model, tests, own["read"])
    return {"nrmse": _at_the_end(series, starts, run.T), "losses": losses}


def mackey_esn(settings: Settings, seed: int) -> dict[str, Any]:
    """A plain echo state network without tuning."""
    return _echoed(settings, Echo(seed=seed, **settings["mackey"]["echo"]))


def mackey_tuned(settings: Settings, seed: int) -> dict[str, Any]:
    """A larger one, its numbers chosen by free runs over the last part of the training steps."""
    own, tuned, (series, _) = settings["mackey"], settings["mackey"]["tuned"], mackey(settings)
    tried, runs = echoes(tuned["units"], seed, **tuned["grid"]), (AHEAD, own["apart"])
    return _echoed(settings, best_ahead(tried, series[: own["taught"]], settings["washout"], tuned["held"], runs))


def _echoed(settings: Settings, echo: Echo) -> dict[str, Any]:
    """The error of an echo state network that was taught on the training part, over all test runs."""
    own, (series, starts) = settings["mackey"], mackey(settings)
    taught = own["taught"]
    states = echo.states(series[:-1, None])
    readout = echo.readout(states[settings["washout"] - 1 : taught - 1], series[settings["washout"] : taught, None])
    runs = echo.free(readout, states[[start - 1 for start in starts]], series[starts], AHEAD)
    return {"nrmse": _at_the_end(series, starts, runs)}


def mackey_ar(settings: Settings) -> dict[str, Any]:
    """A linear autoregression."""
    own, (series, starts) = settings["mackey"], mackey(settings)
    weights = autoregression(series[: own["taught"]], own["order"], own["order"])
    runs = np.stack([run_on(weights, series[: start + 1], AHEAD) for start in starts])
    return {"nrmse": _at_the_end(series, starts, runs)}


def _at_the_end(series: Floats, starts: list[int], runs: Floats) -> float:
    """NRMSE of the last step of runs (runs, steps), over the variance of the series."""
    return nrmse(runs[:, -1], series[[start + AHEAD for start in starts]], float(series.var()))


def words(settings: Settings, largest: int, seed: int, kind: str) -> dict[str, Any]:
    """Learn the words up to n = largest, and count how far every word is accepted."""
    own = settings["word"] | settings[f"word_{kind}"]
    strings, labels = zip(*map(word, range(1, largest + 1)), strict=True)
    method, options = ("bptt", own["method"]) if kind == "gradient" else ("evolino", {"seed": seed, **own["method"]})
    labeler = SequenceLabeler(
        cell=own["cell"], hidden_size=own["hidden"], bidirectional=False, method=method, method_options=options,
        max_epochs=own["epochs"], validation_fraction=0.0, random_state=seed,
    )  # fmt: skip
    labeler.fit(list(strings), list(labels))
    accepted = _accepted(labeler.predict, settings["longest"])
    return {"accepted": accepted, "losses": [epoch["loss"] for epoch in labeler.history_]}


def words_esn(settings: Settings, largest: int, seed: int) -> dict[str, Any]:
    """The same by an echo state network with a readout to one-hot classes."""
    echo = Echo(seed=seed, **settings["word_echo"])
    pairs = [word(n) for n in range(1, largest + 1)]
    classes = np.unique(np.concatenate([labels for _, labels in pairs]))
    wanted = np.concatenate([labels[:, None] == classes for _, labels in pairs]).astype(np.float64)
    readout = echo.readout(np.vstack([echo.states(inputs) for inputs, _ in pairs]), wanted)

    def predicted(batch: list[Floats]) -> list[Any]:
        return [classes[(echo.states(own) @ readout[:-1] + readout[-1]).argmax(1)] for own in batch]

    return {"accepted": _accepted(predicted, settings["longest"])}


def _accepted(predict: Any, longest: int, at_once: int = 50) -> int:
    """The largest N such that every word with n up to N is right at every step."""
    for first in range(1, longest + 1, at_once):
        pairs = [word(n) for n in range(first, min(first + at_once, longest + 1))]
        for n, (said, (_, labels)) in enumerate(zip(predict([own for own, _ in pairs]), pairs, strict=True), first):
            if not (said == labels).all():
                return n - 1
    return longest


def claims(results: Results) -> dict[str, list[float]]:
    """One list of values for each claim of expected.json."""
    found: dict[str, list[float]] = {}
    for name, row in results.items():
        task, kind = name.rsplit(" ", 1) if name.endswith(" ar") else name.rsplit(" ", 2)[:2]
        found.setdefault(f"{task.replace(' ', '_')}_{kind}", []).append(row.get("nrmse", row.get("accepted")))
    sines_of = {task: {name: found[name] for name in found if name.startswith(task)} for task in _sines(found)}
    found["autoregression_wins"] = [
        float(all(min(values) > own[f"{task}_ar"][0] for name, values in own.items() if not name.endswith("_ar")))
        for task, own in sines_of.items()
    ]
    return found


def _sines(found: dict[str, list[float]]) -> list[str]:
    return sorted({name.rpartition("_")[0] for name in found if name.startswith("sines")})


def draw(results: Results, path: Path) -> None:
    """The figure: errors on the sines, and how far words are accepted, every seed a point."""
    from matplotlib.figure import Figure

    found = claims(results)
    figure = Figure(figsize=(9.2, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    looks = {
        "evolino": ("#d55e00", "Evolino"), "evoke": ("#0072b2", "Evoke"), "gradient": ("#cc79a7", "LSTM by gradient"),
        "esn": ("#57606a", "echo state network"), "ar": ("#009e73", "linear autoregression"),
    }  # fmt: skip
    for number, (kind, (colour, label)) in enumerate(looks.items()):
        for panel, task in ((left, "sines"), (right, "words")):
            own = {
                name: values for name, values in found.items() if name.startswith(task) and name.endswith(f"_{kind}")
            }
            points = [(int(name.split("_")[1]), value) for name, values in own.items() for value in values]
            if points:
                step = 0.12 if panel is left else 1.2
                at, values = zip(*[(x + (number - 2) * step, value) for x, value in points], strict=True)
                panel.plot(at, values, "o", color=colour, markersize=4, alpha=0.6, label=label)
    left.set(yscale="log", xlabel="sines", ylabel="NRMSE of the free run", xticks=[2, 3, 4, 5])
    right.set(xlabel="largest n in training", ylabel="accepted up to n", yscale="symlog", xticks=[10, 20, 30, 40])
    for panel in (left, right):
        panel.spines[["top", "right"]].set_visible(False)
        panel.grid(color="#d0d7de", linewidth=0.6)
    figure.legend(*left.get_legend_handles_labels(), frameon=False, fontsize=8, loc="outside lower center", ncols=5)
    figure.savefig(path, dpi=130, metadata={"Software": None})
