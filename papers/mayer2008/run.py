"""A winding path in space that crosses itself, shown a few times, learned by Evolino and by memoryless models."""

import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor

from carousel.data import Batch
from carousel.nn import FeedbackLSTM
from carousel.tasks.forecasting.batches import Ready
from carousel.training import Evolino, Plan, fit
from papers.experiment import Parts, Results
from papers.mayer2008.arm import Arm
from papers.mayer2008.paths import Shape, deviation, passed, path, starts

Settings = dict[str, Any]
Floats = NDArray[np.float64]
Guide = Callable[[Floats], Floats]
"""From where the tip is (3,) to where it should be next; it may remember from call to call."""
MEMORYLESS = ("nearest", "mlp")


def parts(settings: Settings) -> Parts:
    """Each model and seed; with Evolino's network also on the arm."""
    found: Parts = {}
    for seed in range(settings["seeds"]):
        found[f"evolino {seed}"] = partial(evolino, settings, seed)
        for kind in MEMORYLESS:
            found[f"{kind} {seed}"] = partial(memoryless, settings, seed, kind)
    return found


def demonstrations(settings: Settings, count: int, seed: int) -> Floats:
    """Paths (steps, count, 3) from random places."""
    shape = Shape(**settings["shape"])
    return np.stack([path(start, shape) for start in starts(count, seed)], axis=1)


def evolino(settings: Settings, seed: int) -> dict[str, Any]:
    """Evolve on the demonstrations; free runs from new places, in thought and on the arm."""
    model = network(settings, seed)
    taught = demonstrations(settings, settings["demonstrations"], 1000 + seed)
    method = Evolino(seed=seed, **settings["method"])
    reports = list(fit(model, Ready(_batch(taught)), method, Plan(epochs=settings["generations"])))
    wanted = demonstrations(settings, settings["tests"], 2000 + seed)
    with torch.no_grad():
        run: Floats = model.eval()(_batch(wanted)).numpy()
    found = _judged(settings, run, wanted) | {"losses": [epoch["loss"] for epoch in reports[-1].history]}
    return found | on_the_arm(settings, partial(_dreaming, model), wanted)


def network(settings: Settings, seed: int) -> FeedbackLSTM:
    """A fresh network that reads where it is and says where to next."""
    torch.manual_seed(seed)
    own = dict(settings["network"])
    return FeedbackLSTM(0, own.pop("hidden"), 3, washout=settings["shape"]["rest"], dtype=torch.float64, **own)


def _batch(target: Floats) -> Batch:
    values = torch.from_numpy(np.ascontiguousarray(target))
    return Batch(inputs=values[..., :0], indices=torch.arange(values.shape[1]), target=values)


def _judged(settings: Settings, run: Floats, wanted: Floats) -> dict[str, Any]:
    """How far free runs (steps, runs, 3) are off, and how many pass all way points in order."""
    goals, every, shape = wanted[settings["shape"]["rest"] :], settings["every"], Shape(**settings["shape"])
    share = passed(run, goals, settings["near"], every)
    crossing = shape.come // every / (len(goals) // every)
    return {
        "deviation": float(deviation(run, goals).mean()),
        "succeeded": float((share == 1).mean()),
        "arrived": float((share >= crossing - 1e-9).mean()),
        "share": float(share.mean()),
        "run": run[:, 0].tolist(),
        "wanted": goals[:, 0].tolist(),
    }


def on_the_arm(settings: Settings, guide: Callable[[], Guide], wanted: Floats) -> dict[str, Any]:
    """A fresh guide for each path steers the simulated arm, and reads its measured tip; nothing without mujoco."""
    try:
        runs = np.stack([_steered(settings, guide(), own) for own in wanted.swapaxes(0, 1)[: settings["arm_tests"]]], 1)
    except ImportError as error:
        print(f"the arm is left out: {error}")
        return {}
    found = _judged(settings, runs, wanted[:, : runs.shape[1]])
    return {f"arm_{name}": found[name] for name in ("deviation", "succeeded", "run")}


def _steered(settings: Settings, guide: Guide, wanted: Floats) -> Floats:
    """Where the tip was after each step, (steps, 3); the first ones, at rest, are led."""
    arm, found, last = Arm(wanted[0]), [], np.zeros(3)
    for t in range(len(wanted)):
        target = guide(last)
        last = arm.step(target if t >= settings["shape"]["rest"] else wanted[t])
        found.append(last)
    return np.stack(found)[settings["shape"]["rest"] :]


def _dreaming(model: FeedbackLSTM) -> Guide:
    """The network's next place, from what it remembers."""
    state: Any = None
    nothing = torch.zeros(1, 0, dtype=torch.float64)

    @torch.no_grad()
    def guide(place: Floats) -> Floats:
        nonlocal state
        answer, state = model.step(nothing, torch.from_numpy(place).unsqueeze(0), state)
        return answer[0].numpy()

    return guide


def memoryless(settings: Settings, seed: int, kind: str) -> dict[str, Any]:
    """The next step from the position alone: that of the nearest demonstrated places, or a feed-forward network's."""
    rest = settings["shape"]["rest"]
    next_place = _taught(settings, seed, kind)
    wanted = demonstrations(settings, settings["tests"], 2000 + seed)
    last, run = wanted[rest - 1], []
    for _ in range(len(wanted) - rest):
        last = next_place(last)
        run.append(last)
    steered = on_the_arm(settings, lambda: lambda place: next_place(place[None])[0], wanted)
    return _judged(settings, np.stack(run), wanted) | steered


def _taught(settings: Settings, seed: int, kind: str) -> Guide:
    """A model without memory, taught by the demonstrations: from places (n, 3) to the next ones."""
    taught = demonstrations(settings, settings["demonstrations"], 1000 + seed)[settings["shape"]["rest"] :]
    places, steps = taught[:-1].reshape(-1, 3), np.diff(taught, axis=0).reshape(-1, 3)
    scale = steps.std()
    if kind == "nearest":
        model: Any = KNeighborsRegressor(settings["neighbours"], weights="distance")
    else:
        epochs, layers = settings["mlp_epochs"], (64, 64)
        model = MLPRegressor(hidden_layer_sizes=layers, max_iter=epochs, n_iter_no_change=epochs, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(places, steps / scale)
    return lambda now: now + scale * model.predict(now)


def claims(results: Results) -> dict[str, list[float]]:
    """One list of values for each claim of expected.json."""
    found: dict[str, list[float]] = {}
    for name, row in results.items():
        kind = name.split()[0]
        for what in ("deviation", "arrived", "succeeded", "arm_deviation", "arm_succeeded"):
            if what in row:
                found.setdefault(f"{kind}_{what}", []).append(row[what])
    return found


def draw(results: Results, path: Path) -> None:
    """The figure: a demonstration that was not shown, and free runs of each model, seen from above."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9.2, 3.4), layout="constrained")
    shown = [("evolino 0", "run", "Evolino, running free"), ("evolino 0", "arm_run", "Evolino on the arm"),
             ("nearest 0", "run", "nearest neighbours"), ("mlp 0", "run", "feed-forward network")]  # fmt: skip
    shown = [entry for entry in shown if entry[1] in results[entry[0]]]
    for panel, (name, which, title) in zip(figure.subplots(1, len(shown), sharey=True), shown, strict=True):
        wanted, run = np.array(results[name]["wanted"]), np.array(results[name][which])
        panel.plot(wanted[:, 0], wanted[:, 1], color="#c9d1d9", linewidth=3, label="wanted")
        panel.plot(run[:, 0], run[:, 1], color="#d55e00", linewidth=1.2, label="free run")
        panel.plot(*run[0, :2], "o", color="#d55e00", markersize=4)
        panel.set(title=title, xlim=(-2, 1.8), ylim=(-1.3, 1.5), aspect="equal")
        panel.spines[["top", "right"]].set_visible(False)
    figure.axes[0].legend(frameon=False, fontsize=8, loc="upper left")
    figure.savefig(path, dpi=130, metadata={"Software": None})
