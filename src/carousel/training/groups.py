"""Which weights learn together: all weights into one unit, of one layer, or all."""

import re
from collections.abc import Callable, Hashable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from carousel.cells import Cell, find, layout
from carousel.training.method import Model

Key = Hashable
LAYER = re.compile(r"(.*?)(_l\d+(?:_reverse)?)?")
RECURRENT = ("weight_hh", "bias_hh", "ln_hh_weight", "ln_hh_bias")


def weight_groups(model: Model, by: str) -> list[Tensor]:
    """Positions (size,) of each group's weights among all trainable weights, laid end to end in the model's order.

    by: "unit", "cell", "layer" or "global". A unit is a row of a weight matrix with the same row of the layer's other
    parameters, such as one gate of one cell with its recurrent weights, bias and peephole, or one output. A cell is all
    that enters one memory cell, or one block of cells with common gates.
    """
    labels: dict[Key, list[int]] = {}
    for position, key in enumerate(key for name, weight in _trainable(model) for key in KEYS[by](model, name, weight)):
        labels.setdefault(key, []).append(position)
    return [torch.tensor(positions) for positions in labels.values()]


def _trainable(model: Model) -> list[tuple[str, nn.Parameter]]:
    return [(name, weight) for name, weight in model.named_parameters() if weight.requires_grad]


def _by_unit(model: Model, name: str, weight: Tensor) -> Iterator[Key]:
    owner, role, layer = _place(name)
    cell = _cell(model, owner)
    if cell is not None and role == "weight_ch":
        yield from ((owner, layer, "gates", row) for row in _peephole_rows(cell, weight.shape[1]))
        return
    count = len(weight) if weight.ndim else 1
    rows, kind = list(range(count)), str(count)
    if cell is not None and f"weight_ih{layer}" in _names(model, owner):
        total = _names(model, owner)[f"weight_ih{layer}"].shape[0]
        recurs = role in RECURRENT
        rows = _recurrent_rows(cell, _hidden(cell, total)) if recurs else rows
        kind = "gates" if recurs or count == total else kind
    for row in rows:
        yield from [(owner, layer, kind, row)] * (weight.numel() // count)


def _by_cell(model: Model, name: str, weight: Tensor) -> Iterator[Key]:
    owner, _, layer = _place(name)
    cell = _cell(model, owner) or (find("lstm") if isinstance(_module(model, owner), nn.LSTM) else None)
    if cell is None or f"weight_ih{layer}" not in _names(model, owner):
        yield from _by_unit(model, name, weight)
        return
    of_row = _cells_of_rows(cell, _hidden(cell, _names(model, owner)[f"weight_ih{layer}"].shape[0]))
    for key in _by_unit(model, name, weight):
        *_, kind, row = key  # type: ignore[misc]
        own = of_row.get(kind)
        yield key if own is None else (owner, layer, "cell", own[row])


def _cells_of_rows(cell: Cell, hidden: int) -> dict[str, list[int]]:
    """The block of cells that each row of a kind belongs to: rows of all gates, of the sending ones, of one a cell."""
    gates, sent = (_cells(cell, spans(cell, hidden)) for spans in (layout.rows, layout.sent_rows))
    kinds = {str(hidden): [at // cell.block for at in range(hidden)], "gates": gates, str(len(gates)): gates}
    return {str(len(sent)): sent} | kinds


def _cells(cell: Cell, spans: dict[str, slice]) -> list[int]:
    share = {gate: cell.block if gate == "candidate" else 1 for gate in spans}
    return [at // share[gate] for gate, span in spans.items() for at in range(span.stop - span.start)]


def _by_layer(model: Model, name: str, weight: Tensor) -> Iterator[Key]:
    del model
    owner, _, layer = _place(name)
    return iter([(owner, layer)] * weight.numel())


def _together(model: Model, name: str, weight: Tensor) -> Iterator[Key]:
    del model, name
    return iter([()] * weight.numel())


KEYS: dict[str, Callable[[Model, str, Tensor], Iterator[Key]]] = {
    "unit": _by_unit,
    "layer": _by_layer,
    "global": _together,
    "cell": _by_cell,
}


def _place(name: str) -> tuple[str, str, str]:
    """The module, the role without its layer, and the layer: "lstm.bias_ih_l0" is "lstm", "bias_ih", "_l0"."""
    owner, _, own = name.rpartition(".")
    found = LAYER.fullmatch(own)
    assert found is not None
    return owner, found[1], found[2] or ""


def _module(model: Any, owner: str) -> Any:
    return model.get_submodule(owner) if isinstance(model, nn.Module) else None


def _cell(model: Model, owner: str) -> Cell | None:
    """The row of the table that a module of ours runs; other modules have none."""
    cell = getattr(_module(model, owner), "cell", None)
    return cell if isinstance(cell, Cell) else None


def _names(model: Model, owner: str) -> dict[str, nn.Parameter]:
    return dict(_module(model, owner).named_parameters(recurse=False))


def _hidden(cell: Cell, rows: int) -> int:
    """How many cells a layer with so many rows of gates has."""
    return rows // layout.total(layout.rows(cell, cell.block)) * cell.block


def _recurrent_rows(cell: Cell, hidden: int) -> list[int]:
    """The row among all gates of each row of the recurrent matrix."""
    rows = layout.rows(cell, hidden)
    return [row for gate in layout.recurrent_rows(cell, hidden) for row in range(rows[gate].start, rows[gate].stop)]


def _peephole_rows(cell: Cell, hidden: int) -> Iterator[int]:
    """The row among all gates of each peephole, a gate after the other and a cell after the other."""
    rows = layout.rows(cell, hidden)
    for gate in layout.peephole_rows(cell):
        share = 1 if gate == "candidate" else cell.block
        yield from (rows[gate].start + position // share for position in range(hidden))
