"""Windows of many series: a context to read, a horizon to forecast."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from carousel.data.batches import Batch, IndexedBatches, check_batching
from carousel.data.errors import DataError
from carousel.data.panel import Panel


@dataclass(eq=False)
class Windows(IndexedBatches):
    """Windows of a context and a horizon, cut from every series of a panel.

    panel: the series; a plain list of arrays will do.
    context, horizon: steps read, steps forecast.
    stride: steps between the starts of neighbouring windows of a series.
    first_target: the first row that may be a target, for all series or one a series; contexts may reach before it,
        so that a validation part reads the training part but is never trained on.
    limit: the most windows in an epoch. Shuffled epochs draw them anew each time; otherwise they are evenly spaced.

    Yields batches with inputs (context, batch, panel.n_inputs), target and mask (horizon, batch, targets), and future
    (horizon, batch, features) and static (batch, features) where the panel has them. Missing targets are 0 and False
    in the mask. `indices` number all windows, series after series; `origins` says where each starts.

    Raises DataError for a series too short for one window, by name.
    """

    panel: Any
    context: int
    horizon: int
    _: KW_ONLY
    batch_size: int = 32
    stride: int = 1
    seed: int = 0
    shuffle: bool = True
    first_target: Any = None
    limit: int | None = None

    def __post_init__(self) -> None:
        check_batching(self.batch_size, self.seed)
        if min(self.context, self.horizon, self.stride, self.limit or 1) < 1:
            raise ValueError(
                f"context is {self.context}, horizon {self.horizon}, stride {self.stride}, limit {self.limit}; "
                "each must be at least 1"
            )
        if not isinstance(self.panel, Panel):
            self.panel = Panel(self.panel)
        lengths = self.panel.lengths
        wanted = np.broadcast_to(0 if self.first_target is None else self.first_target, len(lengths))
        self._skipped = np.maximum(wanted - self.context, 0)
        counts = (lengths - self._skipped - self.context - self.horizon) // self.stride + 1
        self._check_lengths(lengths, counts)
        self._ends = np.cumsum(counts)
        self._inputs = _Rows(self.panel.inputs)
        self._targets = _Rows(self.panel.targets.values)
        self._future = None if self.panel.future is None else _Rows(self.panel.future.values)

    def _check_lengths(self, lengths: NDArray[np.int64], counts: NDArray[np.int64]) -> None:
        for series, length, skipped, count in zip(self.panel.targets.ids, lengths, self._skipped, counts, strict=True):
            if count < 1:
                usable = f"{length} rows" if not skipped else f"{length - skipped} usable rows"
                raise DataError(
                    f"series {series!r} has {usable}, fewer than context + horizon = {self.context} + {self.horizon}; "
                    "give a longer series, or a shorter context or horizon"
                )

    @property
    def total(self) -> int:
        """The number of all windows, whatever the limit."""
        return int(self._ends[-1])

    def items(self) -> int:
        """Return the number of windows in an epoch."""
        return min(self.total, self.limit or self.total)

    def order(self, number: int) -> NDArray[np.int64]:
        """Return the windows of an epoch in their order."""
        if self.shuffle:
            return self.generator(number).permutation(self.total)[: self.items()]
        return np.arange(self.items()) * self.total // self.items()

    def origins(self, indices: Any) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the series of each window and the row of its first target."""
        windows = np.asarray(indices)
        series = np.searchsorted(self._ends, windows, side="right")
        first = np.concatenate([[0], self._ends])[series]
        return series, self._skipped[series] + (windows - first) * self.stride + self.context

    def gather(self, indices: NDArray[np.int64]) -> Batch:
        """Return the batch of these windows."""
        series, origin = self.origins(indices)
        target = self._targets.take(series, origin, self.horizon)
        missing = np.isnan(target)
        static = self.panel.static
        return Batch(
            inputs=torch.from_numpy(self._inputs.take(series, origin - self.context, self.context)),
            indices=torch.from_numpy(indices),
            target=torch.from_numpy(np.where(missing, 0, target)),
            mask=torch.from_numpy(~missing),
            future=_future(self._future, series, origin, self.horizon),
            static=None if static is None else torch.from_numpy(static[series]),
        )


class _Rows:
    """Arrays (time, columns) in one flat array, from which spans of rows are taken without a loop."""

    def __init__(self, values: list[NDArray[Any]]) -> None:
        lengths = np.array([len(value) for value in values])
        self._flat = np.concatenate(values)
        self._starts = np.cumsum(lengths) - lengths

    def take(self, series: NDArray[np.int64], first: NDArray[np.int64], steps: int) -> NDArray[Any]:
        """Return (steps, batch, columns) from row `first` of each series on."""
        return self._flat[(self._starts[series] + first) + np.arange(steps)[:, None]]


def _future(rows: _Rows | None, series: NDArray[np.int64], origin: NDArray[np.int64], horizon: int) -> Tensor | None:
    return None if rows is None else torch.from_numpy(rows.take(series, origin, horizon))


def last_windows(panel: Panel, context: int, horizon: int) -> Batch:
    """Return one batch with the last context of every series, to forecast the steps after its end.

    Raises DataError for a series shorter than the context, or future covariates that end before the horizon does.
    """
    for name, rows, known in zip(panel.targets.ids, panel.lengths, _future_rows(panel, horizon), strict=True):
        if rows < context:
            raise DataError(
                f"series {name!r} has {rows} rows, fewer than the context of {context}; give more of its past"
            )
        if known < rows + horizon:
            raise DataError(
                f"future covariates of series {name!r} reach {known - rows} steps past its end; "
                f"a horizon of {horizon} needs {horizon}"
            )
    series = np.arange(len(panel))
    return Batch(
        inputs=torch.from_numpy(_Rows(panel.inputs).take(series, panel.lengths - context, context)),
        indices=torch.from_numpy(series),
        future=_future(None if panel.future is None else _Rows(panel.future.values), series, panel.lengths, horizon),
        static=None if panel.static is None else torch.from_numpy(panel.static),
    )


def _future_rows(panel: Panel, horizon: int) -> NDArray[np.int64]:
    return panel.lengths + horizon if panel.future is None else panel.future.lengths
