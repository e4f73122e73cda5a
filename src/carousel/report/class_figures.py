"""The figures of a classifier and of a labeller: confusion matrix, accuracy along a sequence, label strips."""

from dataclasses import dataclass

from carousel.report.findings import ClassFindings, LabelExample, LabelFindings
from carousel.report.plotting import SERIES, Drawing, Key, axis, curve, figure, text, thinned
from carousel.report.wording import counted, percent

WRITTEN_CELLS = 15
MAX_STEPS = 1500


@dataclass(frozen=True)
class ClassRow:
    """Precision, recall and F1 of one class (None where nothing was predicted or true), and how many were true."""

    label: str
    precision: float | None
    recall: float | None
    f1: float | None
    support: int


def class_rows(found: ClassFindings) -> list[ClassRow]:
    """The scores of every class, from the confusion matrix."""
    predicted = [sum(column) for column in zip(*found.confusion, strict=True)]
    rows = []
    for index, label in enumerate(found.labels):
        hits, support = found.confusion[index][index], sum(found.confusion[index])
        precision = hits / predicted[index] if predicted[index] else None
        recall = hits / support if support else None
        total = support + predicted[index]
        rows.append(ClassRow(label, precision, recall, 2 * hits / total if total else None, support))
    return rows


def confusion_matrix(found: ClassFindings) -> Drawing:
    """Shares of each true class as colours, counts as text."""
    sizes = [sum(row) for row in found.confusion]
    shares = [
        [100 * cell / size if size else 0 for cell in row] for row, size in zip(found.confusion, sizes, strict=True)
    ]
    names, places = [text(label, 18) for label in found.labels], list(range(len(found.labels)))
    written = {"texttemplate": "%{text}"} if len(names) <= WRITTEN_CELLS else {}
    heat = {
        "type": "heatmap", "x": places, "y": places, "z": shares,
        "text": [[str(cell) for cell in row] for row in found.confusion],
        "zmin": 0, "zmax": 100, "colorscale": [[0, "@heat-0"], [0.5, "@heat-1"], [1, "@heat-2"]], "xgap": 2, "ygap": 2,
        "showscale": False, **written,
        "hovertemplate": "%{text} times, %{z:.1f} % of the true class<extra></extra>",
    }  # fmt: skip
    ticks = {
        "tickmode": "array",
        "tickvals": places,
        "ticktext": names,
        "showgrid": False,
        "ticks": "",
        "tickangle": None,
    }
    if len(names) > 2 * WRITTEN_CELLS:
        kept = thinned(len(names), WRITTEN_CELLS)
        ticks |= {"tickvals": kept, "ticktext": [names[k] for k in kept]}
    height = min(680, max(260, 44 * len(names) + 110))
    axes = {"xaxis": axis("predicted", **ticks), "yaxis": axis("true", autorange="reversed", **ticks)}
    drawn = figure([heat], height, hovermode="closest", **axes)
    return Drawing("confusion-matrix", "Confusion matrix", _confusion_caption(found), drawn)


def _confusion_caption(found: ClassFindings) -> str:
    total = sum(map(sum, found.confusion))
    hits = sum(found.confusion[k][k] for k in range(len(found.labels)))
    words = f"{percent(hits / total) if total else '–'} of {counted(total, 'decision')} are right: the diagonal."
    words += " The stronger a colour, the larger the share of the true class."
    wrong = [(count, i, j) for i, row in enumerate(found.confusion) for j, count in enumerate(row) if i != j and count]
    if wrong:
        count, i, j = max(wrong, key=lambda entry: entry[0])
        words += f" Most often confused: {found.labels[i]}, taken for {found.labels[j]} ({counted(count, 'time')})."
    return words


def accuracy_along(found: LabelFindings) -> Drawing | None:
    """How accuracy depends on the position in a sequence."""
    if not found.accuracy_by_position:
        return None
    values = [None if value is None else 100 * value for value in found.accuracy_by_position]
    size = len(values)
    parts = found.positions == "part"
    x = [100 * (k + 0.5) / size for k in range(size)] if parts else list(range(size))
    line = {**curve(x, values, "accuracy", "@model"), "mode": "lines+markers" if size <= 40 else "lines"}
    line["hovertemplate"] = "%{y:.1f} %"
    axes = {
        "xaxis": axis("position in the sequence, %" if parts else "step"),
        "yaxis": axis("accuracy, %", rangemode="tozero"),
    }
    caption = "Accuracy of the labels from the first step to the last: a memory that must warm up starts low."
    return Drawing("label-accuracy", "Accuracy along a sequence", caption, figure([line], 260, **axes))


def label_strips(example: LabelExample, index: int) -> Drawing:
    """True and predicted labels of one sequence as two strips of colour."""
    names = sorted({label for label in (*example.truth, *example.predicted) if label is not None})
    codes = {label: code for code, label in enumerate(names)}
    strips = [
        [codes.get(label) if label is not None else None for label in row[:MAX_STEPS]]
        for row in (example.predicted, example.truth)
    ]
    last = max(1, len(names))
    scale = [
        stop for code in range(last) for stop in ([code / last, _colour(code)], [(code + 1) / last, _colour(code)])
    ]
    words = [
        [text(label or "not scored", 24) for label in row[:MAX_STEPS]] for row in (example.predicted, example.truth)
    ]
    heat = {
        "type": "heatmap", "z": strips, "y": [0, 1], "zmin": -0.5, "zmax": last - 0.5, "colorscale": scale,
        "showscale": False,
        "text": words, "hovertemplate": "step %{x}: %{text}<extra></extra>", "ygap": 6,
    }  # fmt: skip
    rows = axis(tickmode="array", tickvals=[0, 1], ticktext=["predicted", "true"], showgrid=False, ticks="")
    drawn = figure([heat], 130, hovermode="closest", xaxis=axis("step", showgrid=False), yaxis=rows)
    keys = tuple(Key(name, _colour(code), "area") for name, code in codes.items()) if last <= 2 * len(SERIES) else ()
    scored = [(t, p) for t, p in zip(example.truth, example.predicted, strict=True) if t is not None]
    right = sum(t == p for t, p in scored)
    caption = (
        f"{percent(right / len(scored))} of {counted(len(scored), 'step')} are right."
        if scored
        else "Nothing was scored."
    )
    return Drawing(f"labels-{index}", example.name, caption, drawn, keys)


def _colour(code: int) -> str:
    return SERIES[code % len(SERIES)]
