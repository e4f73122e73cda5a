"""docs/speed.md and its figure, made from the answers that were kept."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from benchmarks.cells.records import Answer, Figure, Row, Timing, read_all
from benchmarks.page import DOCS
from carousel.data import atomic_path

PAGE = DOCS / "speed.md"
INTRODUCTION = """# Speed

How fast cells run, beside what else there is for them.

```sh
make bench
```

measures everything again, and `python -m benchmarks cells` the speed alone (`--quick` in two minutes, `--only lstm`
one question). The figures are in `benchmarks/results/cells-*.json`, from which this page is made. Results are checked
before anything is timed. All contestants of a row take turns in one run, in a random order each round; a time is the
median of their samples, in brackets the 5th and the 95th percentile. A figure with × says how many times faster ours
is, as a ratio of medians. Shapes are time-batch-inputs-hidden. Targets stand in brackets; ✓ is met, ✗ is missed. The
load is the number of processes that wanted a core when the question was asked and when it was answered.
"""
EMPTY = "No machine has been measured yet.\n"
UNITS = ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))


def write() -> None:
    """Write the page, and a figure for each machine."""
    found = read_all()
    for name, answers in found.items():
        draw(answers, _figure(name))
    with atomic_path(PAGE) as temporary:
        temporary.write_text(text(found), encoding="utf-8")


def text(found: dict[str, list[Answer]] | None = None) -> str:
    """The page."""
    machines = read_all() if found is None else found
    sections = [_machine(name, answers) for name, answers in machines.items()]
    return "\n".join([INTRODUCTION, *(sections or [EMPTY])])


def section(answer: Answer, level: str = "###") -> str:
    """One question: how it was asked, what it comes to, the table, and what else is to be known."""
    summary = [
        f"**{figure.name[0].upper()}{figure.name[1:]}: {told(figure)}{wanted([figure])}.**" for figure in answer.summary
    ]
    counted = [figure.met for figure in answer.figures]
    count = [f"{sum(map(bool, counted))} of {len(counted)} targets are met."] if counted else []
    notes = [*answer.notes, f"Load {' to '.join(map(str, answer.load))}; {answer.seconds:.0f} s.{_busy(answer)}"]
    paragraphs = [f"{level} {answer.title}", answer.protocol, " ".join([*summary, *count]), _table(answer.rows)]
    return "\n\n".join([*filter(None, paragraphs), "\n".join(f"- {note}" for note in notes)]) + "\n"


def told(figure: Figure) -> str:
    """A figure, and whether it meets its target."""
    value = f"{_number(figure.value)}{figure.unit}"
    if figure.met is None:
        return value
    return f"{value} {'✓' if figure.met else '✗'}"


def wanted(figures: Iterable[Figure]) -> str:
    """The target of these figures in brackets, or nothing if there is none; of several, each once."""
    bounds = {
        f"{'≤' if figure.lower else '≥'} {_number(figure.target)}{figure.unit}": None
        for figure in figures
        if figure.target is not None
    }
    return f" ({' or '.join(bounds)})" if bounds else ""


def seconds(timing: Timing) -> str:
    """Median and spread in the unit that suits the median."""
    scale, unit = next(((scale, unit) for scale, unit in UNITS if timing.median >= scale), UNITS[-1])
    median, low, high = (_number(value / scale) for value in (timing.median, timing.p5, timing.p95))
    return f"{median} {unit} ({low}–{high})" if timing.samples > 1 else f"{median} {unit}"


def _busy(answer: Answer) -> str:
    """A warning where others worked on the machine when the question was asked: our own share is a core or all."""
    if not answer.load or answer.load[0] <= answer.machine["cores"] + 0.5:
        return ""
    return " Others were at work: do not trust these figures, least of all those of two threads."


def _machine(name: str, answers: list[Answer]) -> str:
    about = answers[0].machine
    versions = ", ".join(f"{each} {about[each]}" for each in ("python", "torch", "numpy"))
    head = f"{about['processor']}, {about['cores']} cores, {about['instructions']}; {versions}."
    backends = sorted({answer.machine["backend"] for answer in answers})
    figure = f"![Every figure that has a target, as a part of the target]({_figure(name).name})"
    ran = f"Our cells ran on the backend {', '.join(backends)}."
    return "\n\n".join([f"## {name}", f"{head} {ran}", figure, *(section(answer) for answer in answers)])


def _figure(name: str) -> Path:
    return DOCS / f"speed-{name}.svg"


def _table(rows: list[Row]) -> str:
    """A line a row; columns that no row fills are left out."""
    timings = list(dict.fromkeys(timing.name for row in rows for timing in row.timings))
    figures = list(dict.fromkeys(figure.name for row in rows for figure in row.figures))
    headed = [name + wanted(f for row in rows for f in row.figures if f.name == name) for name in figures]
    columns = ["", "", "threads", *timings, *headed, "note"]
    cells = [_cells(row, timings, figures) for row in rows]
    filled = [at for at in range(len(columns)) if any(line[at] for line in cells)]
    lines = [[columns[at] for at in filled], ["---"] * len(filled), *([line[at] for at in filled] for line in cells)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) if rows else ""


def _cells(row: Row, timings: Iterable[str], figures: Iterable[str]) -> list[str]:
    times = {timing.name: seconds(timing) for timing in row.timings}
    values = {figure.name: told(figure) for figure in row.figures}
    return [
        row.label,
        row.work,
        str(row.threads or ""),
        *(times.get(name, "") for name in timings),
        *(values.get(name, "") for name in figures),
        row.note.replace("|", "\\|"),
    ]


def _number(value: float) -> str:
    """Three digits that count."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def draw(answers: list[Answer], path: Path) -> None:
    """Dots: each figure with a target, as a part of that target on a log scale, a line for each question."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams |= {"svg.hashsalt": "speed", "svg.fonttype": "none", "font.size": 9}
    from matplotlib import pyplot

    shown = [answer for answer in reversed(answers) if answer.figures]
    figure, panel = pyplot.subplots(figsize=(8, 1.2 + 0.32 * len(shown)))
    for line, answer in enumerate(shown):
        _dots(panel, line, answer)
    panel.axvline(1, color="black", linewidth=1)
    panel.set(xscale="log", yticks=range(len(shown)), yticklabels=[answer.name for answer in shown])
    panel.set_xlabel("times the target (right of the line: met; blue: means, gray: single cases)")
    panel.spines[["top", "right", "left"]].set_visible(False)
    figure.tight_layout()
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    pyplot.close(figure)


def _dots(panel: Any, line: int, answer: Answer) -> None:
    for figure in reversed(answer.figures):
        mean = figure in answer.summary
        color = "tab:blue" if mean else "tab:gray"
        panel.plot(reached(figure), line, "D" if mean else "o", color=color, alpha=0.9 if mean else 0.5, markersize=6)


def reached(figure: Figure) -> float:
    """How many times over the target is met: below one, it is not."""
    target = figure.target or 1.0
    return target / figure.value if figure.lower else figure.value / target
