"""docs/results.md and its figure, made from the result files."""

from pathlib import Path
from statistics import stdev

from benchmarks.results import RESULTS, Entry, Result, read_all
from carousel.data import atomic_path

DOCS = Path(__file__).parent.parent / "docs"
PAGE = DOCS / "results.md"
FIGURE = DOCS / "results.svg"
WORDS = {"mae": "MAE", "rmse": "RMSE", "mase": "MASE", "balanced_accuracy": "balanced accuracy", "macro_f1": "macro F1"}
PARTS = {"ours": "ours", "baseline": "simple rule", "rival": "rival", "command line": "ours", "published": "published"}
INTRODUCTION = """# Results

What the estimators do on real data with their defaults, beside simple rules and other people's work.

```sh
make bench
```

measures everything again: it makes `.venv-rivals/` for the rivals and for the packages that ship the data, and writes
`benchmarks/results/*.json` and this page, which a test holds current. A figure with ± is the mean and the standard
deviation over seeds. Seconds are those of the processor, and in brackets those on the wall clock, which depend on
what else the machine does: the load beside each table is the number of processes that wanted a core when the run
began and ended.
"""
FIGURE_TEXT = """## At a glance

![Mean absolute error of each forecaster, as a part of the seasonal naive forecast's](results.svg)
"""


def write() -> None:
    """Write the page and the figure."""
    results = read_all()
    draw([result for result in results if result.lower_is_better])
    with atomic_path(PAGE) as temporary:
        temporary.write_text(text(results), encoding="utf-8")


def text(results: list[Result] | None = None) -> str:
    """The page."""
    found = read_all(RESULTS) if results is None else results
    return "\n".join([INTRODUCTION, FIGURE_TEXT, *map(section, found)])


def section(result: Result) -> str:
    """One data set: what it is, the table, and the verdict in a sentence."""
    columns = ["", "", *(WORDS.get(name, name) for name in result.metrics), "learning, s", "answering, s"]
    rows = [_row(entry, result) for entry in result.ranked]
    table = "\n".join([_line(columns), _line(["---"] * len(columns)), *rows])
    notes = [f"{entry.name}: {entry.note}." for entry in result.entries if entry.note]
    notes = "\n".join(f"- {note}" for note in [*result.notes, *notes, _machine(result)])
    return (
        f"## {result.title}\n\nData: {result.data}.\n\n{result.protocol}\n\n{table}\n\n"
        f"**{verdict(result)}**\n\n{notes}\n"
    )


def verdict(result: Result) -> str:
    """Who wins by the deciding metric, plainly, and at what cost beside the rival."""
    metric, ours = result.metrics[0], result.ours
    others = [entry for entry in result.ranked if entry.kind not in ("ours", "command line")]
    first, word = others[0], WORDS.get(metric, metric)
    wins = result.ranked.index(ours) < result.ranked.index(first)
    figures = f"{number(ours.mean(metric))} against {number(first.mean(metric))} of {first.name}"
    losses = [_losing(other, result) for other in result.metrics[1:]]
    said = [f"Ours {'is best' if wins else 'is not best'} by {word}: {figures}.", *filter(None, losses)]
    if _within_spread(ours, first, metric):
        said.insert(1, "The difference is smaller than the standard deviation over seeds.")
    return " ".join([*said, *(_cost(ours, entry) for entry in result.entries if entry.kind == "rival")])


def _within_spread(ours: Entry, other: Entry, metric: str) -> bool:
    values = ours.scores[metric]
    return len(values) > 1 and abs(ours.mean(metric) - other.mean(metric)) < stdev(values)


def _losing(metric: str, result: Result) -> str:
    """A sentence where another one is better by this metric too."""
    others = [entry for entry in result.entries if entry.kind in ("baseline", "rival") and metric in entry.scores]
    if not others or metric not in result.ours.scores:
        return ""
    sign = 1 if result.lower_is_better else -1
    best = min(others, key=lambda entry: sign * entry.mean(metric))
    if sign * result.ours.mean(metric) <= sign * best.mean(metric):
        return ""
    own, its = number(result.ours.mean(metric)), number(best.mean(metric))
    return f"By {WORDS.get(metric, metric)} {best.name} is better: {its}, ours {own}."


def _cost(ours: Entry, rival: Entry) -> str:
    own, its = (sum(entry.seconds["fit_cpu"]) / len(entry.seconds["fit_cpu"]) for entry in (ours, rival))
    more = f"{its / own:.1f} times less" if its > own else f"{own / its:.1f} times more"
    return f"Learning took {more} processor time than {rival.name}: {number(own)} s against {number(its)} s."


def _row(entry: Entry, result: Result) -> str:
    name = f"**{entry.name}**" if entry.kind == "ours" else entry.name
    scores = [_figure(entry.scores.get(metric)) for metric in result.metrics]
    return _line([name, PARTS[entry.kind], *scores, _seconds(entry, "fit"), _seconds(entry, "predict")])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _figure(values: list[float] | None) -> str:
    if not values:
        return ""
    mean = number(sum(values) / len(values))
    return f"{mean} ± {number(stdev(values))}" if len(values) > 1 else mean


def _seconds(entry: Entry, step: str) -> str:
    own = entry.seconds.get(f"{step}_cpu")
    if not own:
        return ""
    wall = entry.seconds[f"{step}_wall"]
    return f"{number(sum(own) / len(own))} ({number(sum(wall) / len(wall))})"


def number(value: float) -> str:
    """Four digits that count, no more than needed."""
    return f"{value:.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _machine(result: Result) -> str:
    machine = result.machine
    versions = ", ".join(f"{name} {machine[name]}" for name in ("python", "torch", "numpy", "scikit-learn"))
    load = " to ".join(map(str, result.load))
    return (
        f"`{result.command}` on {machine['cores']} cores ({machine['processor']}), {machine['threads']} thread; "
        f"{versions}; load {load}."
    )


def draw(results: list[Result]) -> None:
    """Bars: the error of each forecaster as a part of the seasonal naive one's, a panel for each series."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "results", "svg.fonttype": "none", "font.size": 9}
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(1, max(len(results), 1), figsize=(10, 2.6), squeeze=False)
    for panel, result in zip(panels[0], results, strict=False):
        shown = [entry for entry in reversed(result.ranked) if entry.kind != "command line"]
        naive = next(entry for entry in shown if entry.name == "seasonal naive").mean("mae")
        shown = [entry for entry in shown if entry.mean("mae") <= 3 * naive]
        parts = [entry.mean("mae") / naive for entry in shown]
        colors = ["tab:blue" if entry.kind == "ours" else "tab:gray" for entry in shown]
        bars = panel.barh([entry.name.removeprefix("carousel.") for entry in shown], parts, color=colors)
        panel.bar_label(bars, fmt="%.2f", padding=2)
        panel.set(title=result.title.removeprefix("Forecasting "), xlim=(0, 1.25 * max(parts)), xticks=[])
        panel.spines[["top", "right", "bottom"]].set_visible(False)
    figure.suptitle("mean absolute error, seasonal naive = 1 (shorter is better; more than 3 is left out)")
    figure.tight_layout()
    with atomic_path(FIGURE) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    pyplot.close(figure)
