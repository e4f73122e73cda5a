"""The networks behind a forecast: an LSTM reads the context, and what it says is added to a linear forecast."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from carousel.data import Batch
from carousel.nn import LSTM, last_output
from carousel.tasks.forecasting.linear import Map, apply_map
from carousel.tasks.forecasting.quantiles import MEDIAN, ordered_quantiles, pinball
from carousel.tasks.forecasting.window import filled, steps_since, window_scale
from carousel.tasks.network import output_width, recent_outputs, weighted_mean

MakeLSTM = Callable[[int], LSTM]


@dataclass(frozen=True)
class Layout:
    """What the windows hold: their steps, and how many targets and past, future and static features.

    read: the last steps of the context, those that the LSTM reads. flagged: missing values have flags among the inputs.
    """

    context: int
    read: int
    horizon: int
    targets: int
    past: int
    future: int
    static: int
    flagged: bool
    levels: tuple[float, ...]
    window_scaled: bool

    @property
    def inputs(self) -> int:
        """Features that the LSTM reads at each step: the window's own, the targets' changes and the static ones."""
        own = self.targets + self.past
        return own * (3 if self.flagged else 1) + self.targets + self.future + self.static

    @property
    def known(self) -> int:
        """Features known of each step ahead: its future covariates, the linear forecast and the static ones."""
        return self.future + self.targets + self.static

    @property
    def outputs(self) -> int:
        """Numbers that describe one step ahead."""
        return self.targets * len(self.levels)


@dataclass(frozen=True)
class Start:
    """What training starts from: the linear forecast that is corrected, and the size of its errors and of changes.

    base (targets, horizon, context + 1), see `linear.py`; spread (horizon, targets); change (targets,).
    """

    base: Map
    spread: Any
    change: Any


class ForecastNetwork(nn.Module, ABC):
    """Quantiles (horizon, batch, targets, levels), in the scale of the windows (a `training.Model`).

    The base forecast is linear in the context; the network adds what it says in units of the base's usual error at
    each step ahead.
    """

    base: Tensor
    spread: Tensor
    change: Tensor

    def __init__(self, make_lstm: MakeLSTM, layout: Layout, dropout: float) -> None:
        super().__init__()
        self.layout = layout
        self._reach: int | None = None
        self.lstm = make_lstm(layout.inputs)
        self.dropout = nn.Dropout(dropout)
        self.median = layout.levels.index(MEDIAN)
        self.register_buffer("base", torch.zeros(layout.targets, self._base_steps(), layout.context + 1))
        self.register_buffer("spread", torch.ones(layout.horizon, layout.targets))
        self.register_buffer("change", torch.ones(layout.targets))

    def _base_steps(self) -> int:
        """How many steps ahead the base forecast goes at once."""
        return self.layout.horizon

    def start_from(self, start: Start) -> None:
        """Take the linear forecast and the sizes that were learned from the training part."""
        for name in ("base", "spread", "change"):
            buffer = getattr(self, name)
            buffer.copy_(torch.as_tensor(getattr(start, name), dtype=buffer.dtype))

    def forward(self, batch: Batch) -> Tensor:
        """Quantiles of the horizon after each context."""
        values, (level, scale) = self._window(batch)
        found = self.quantiles(values, batch, (level, scale))
        return found * scale.unsqueeze(-1) + level.unsqueeze(-1)

    def recent(self, batch: Batch, steps: int) -> Tensor:
        """Quantiles as from `forward`, with a gradient through the last `steps` steps of each context alone."""
        self._reach = steps
        try:
            return self(batch)
        finally:
            self._reach = None

    def read(self, inputs: Tensor, ahead: int = 0) -> tuple[Tensor, tuple[Any, ...]]:
        """What the LSTM says about the context, and about `ahead` steps after it, and its last state."""
        if self._reach is None:
            return self.lstm(inputs)
        return recent_outputs(self.lstm, inputs, self._reach + ahead)

    def extra_repr(self) -> str:
        """What the windows hold."""
        return str(self.layout)

    @abstractmethod
    def quantiles(self, values: Tensor, batch: Batch, scaling: tuple[Tensor, Tensor]) -> Tensor:
        """Quantiles in the scale of the values (context, batch, targets), which have no gaps."""

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """The mean pinball loss of the observed targets, in units of the base forecast's usual error."""
        assert batch.target is not None
        errors = (batch.target.unsqueeze(-1) - output) / self._unit(batch).unsqueeze(-1)
        losses = pinball(errors, output.new_tensor(self.layout.levels))
        return weighted_mean(losses, None if batch.mask is None else batch.mask.to(losses))

    def errors(self, output: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """The median and the target, in units of the base forecast's usual error, where the median is all there is.

        Raises ValueError for a network that learns other quantiles: their loss is no squared difference.
        """
        assert batch.target is not None
        self._check_median()
        unit = self._unit(batch)
        return output[..., 0] / unit, batch.target / unit

    def _check_median(self) -> None:
        """Raise ValueError for a network that learns other quantiles than the median."""
        if len(self.layout.levels) > 1:
            levels = ", ".join(map(str, self.layout.levels))
            raise ValueError(
                f"the network learns the quantiles {levels}, whose loss is no squared difference, which this method "
                "needs; take quantiles=(0.5,)"
            )

    def take_readout(self, make: Callable[[int, int], nn.Module]) -> None:
        """Put a last layer in place that reads the LSTM's outputs alone, made for (width, outputs).

        Raises ValueError for a network that has none, and for one that learns other quantiles than the median.
        """
        self._check_median()
        raise ValueError(
            f"{type(self).__name__} has no linear last layer; this method takes strategy='direct' or 'recursive'"
        )

    def _window(self, batch: Batch) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """The values of the context without gaps, in the scale of the windows, and their level and scale."""
        values = filled(batch.inputs, self.layout)
        level, scale = window_scale(values, self.layout.window_scaled)
        return (values - level) / scale, (level, scale)

    def _unit(self, batch: Batch) -> Tensor:
        """The base forecast's usual error (horizon, batch, targets) in the scale of the windows."""
        _, scale = window_scale(filled(batch.inputs, self.layout), self.layout.window_scaled)
        return self.spread.unsqueeze(1) * scale

    def inputs(self, values: Tensor, rest: Tensor, static: Tensor | None) -> Tensor:
        """What the LSTM reads at the last steps: values, their changes in usual units, `rest` and static features.

        values: at least as many steps as `rest`, (steps, batch, targets).
        """
        changes = torch.diff(values, dim=0, prepend=values[:1]) / self.change
        parts = [values[-len(rest) :], changes[-len(rest) :], rest]
        if static is not None:
            parts.append(static.expand(len(rest), -1, -1))
        return torch.cat(parts, dim=-1)

    def rest(self, batch: Batch) -> Tensor:
        """What the window holds besides its targets, at the steps that the LSTM reads."""
        return batch.inputs[-self.layout.read :, :, self.layout.targets :]

    def known(self, base: Tensor, batch: Batch) -> Tensor:
        """What is known of each step ahead, (horizon, batch, layout.known)."""
        parts = [base]
        if batch.future is not None:
            parts.append(batch.future)
        if batch.static is not None:
            parts.append(batch.static.expand(len(base), -1, -1))
        return torch.cat(parts, dim=-1)

    def corrected(self, base: Tensor, raw: Tensor) -> Tensor:
        """The base (steps, batch, targets) with the network's raw numbers (steps, batch, targets * levels) added."""
        raw = raw.unflatten(-1, (self.layout.targets, -1))
        spread = self.spread[: len(base)].unsqueeze(1).unsqueeze(-1)
        return base.unsqueeze(-1) + spread * ordered_quantiles(raw, self.median)


class StepHead(nn.Module):
    """The numbers of one step ahead, from the LSTM's output and what is known of that step."""

    def __init__(self, width: int, known: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width + known, width), nn.ReLU(), nn.Linear(width, outputs))

    def forward(self, output: Tensor, known: Tensor) -> Tensor:
        """(..., width) and (..., known) to (..., outputs)."""
        return self.layers(torch.cat([output, known], dim=-1))


class LastLayer(nn.Module):
    """A last layer in the place of a `StepHead`: it reads the LSTM's output alone."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, output: Tensor, known: Tensor) -> Tensor:
        """(..., width) to (..., outputs); what is known is not read."""
        del known
        return self.layer(output)


class DirectNetwork(ForecastNetwork):
    """All steps at once from the LSTM's last output: one linear map, and one small network shared by all steps."""

    def __init__(self, make_lstm: MakeLSTM, layout: Layout, dropout: float) -> None:
        super().__init__(make_lstm, layout, dropout)
        width = output_width(self.lstm)
        self.all_steps: nn.Module = nn.Linear(width, layout.horizon * layout.outputs)
        self.each_step: StepHead | None = StepHead(width, layout.known, layout.outputs)

    @property
    def readout(self) -> nn.Module | None:
        """The last layer, if there is none beside it."""
        return self.all_steps if self.each_step is None else None

    def take_readout(self, make: Callable[[int, int], nn.Module]) -> None:
        self._check_median()
        if self.layout.future:
            raise ValueError(
                "future covariates and the calendar enter strategy='direct' behind the LSTM, where this method has one "
                "linear layer; take strategy='recursive', which reads them, or leave them out (of the calendar: "
                "calendar=False, --no-calendar)"
            )
        self.all_steps, self.each_step = make(output_width(self.lstm), self.layout.horizon * self.layout.outputs), None

    def features(self, batch: Batch) -> Tensor:
        """What the last layer reads, (batch, width)."""
        return self._last(self._window(batch)[0], batch)

    def wanted(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """What the last layer should say, (batch, horizon * targets), and for which windows all of it is known."""
        assert batch.target is not None
        values, (level, scale) = self._window(batch)
        errors = ((batch.target - level) / scale - apply_map(self.base, values)) / self.spread.unsqueeze(1)
        known = None if batch.mask is None else batch.mask.transpose(0, 1).flatten(1).all(1)
        return errors.transpose(0, 1).flatten(1), known

    def _last(self, values: Tensor, batch: Batch) -> Tensor:
        outputs, _ = self.read(self.inputs(values, self.rest(batch), batch.static))
        return last_output(outputs, bidirectional=self.lstm.bidirectional)

    def quantiles(self, values: Tensor, batch: Batch, scaling: tuple[Tensor, Tensor]) -> Tensor:
        last = self.dropout(self._last(values, batch))
        base = apply_map(self.base, values)
        together = self.all_steps(last).unflatten(-1, (self.layout.horizon, -1)).transpose(0, 1)
        if self.each_step is None:
            return self.corrected(base, together)
        each = self.each_step(last.expand(self.layout.horizon, -1, -1), self.known(base, batch))
        return self.corrected(base, together + each)


class SequenceToSequenceNetwork(ForecastNetwork):
    """A second LSTM, started from the state of the first, reads what is known of each step ahead."""

    def __init__(self, make_lstm: MakeLSTM, layout: Layout, dropout: float) -> None:
        super().__init__(make_lstm, layout, dropout)
        self.decoder = make_lstm(layout.known + 1)
        self.head = nn.Linear(output_width(self.decoder), layout.outputs)

    def quantiles(self, values: Tensor, batch: Batch, scaling: tuple[Tensor, Tensor]) -> Tensor:
        _, state = self.read(self.inputs(values, self.rest(batch), batch.static))
        base = apply_map(self.base, values)
        ahead = torch.linspace(0, 1, len(base), device=base.device, dtype=base.dtype)
        known = torch.cat([self.known(base, batch), ahead[:, None, None].expand(-1, base.shape[1], 1)], dim=-1)
        outputs, _ = self.decoder(known, state)
        return self.corrected(base, self.head(self.dropout(outputs)))


class RecursiveNetwork(ForecastNetwork):
    """One step at a time: the LSTM reads its own median as the next value.

    In training it reads the true values instead (teacher forcing, Williams and Zipser 1989), all in one pass.
    """

    def __init__(self, make_lstm: MakeLSTM, layout: Layout, dropout: float) -> None:
        super().__init__(make_lstm, layout, dropout)
        self.head: StepHead | LastLayer = StepHead(output_width(self.lstm), layout.known, layout.outputs)

    def _base_steps(self) -> int:
        return 1

    @property
    def readout(self) -> nn.Module | None:
        """The last layer, if it reads the LSTM's outputs alone."""
        return self.head.layer if isinstance(self.head, LastLayer) else None

    def take_readout(self, make: Callable[[int, int], nn.Module]) -> None:
        self._check_median()
        self.head = LastLayer(make(output_width(self.lstm), self.layout.outputs))

    def features(self, batch: Batch) -> Tensor:
        """What the last layer reads with the truth fed back, (horizon, batch, width)."""
        inputs, _, ahead = self._truths(*self._window(batch), batch)
        outputs, _ = self.read(inputs, ahead)
        return outputs[self.layout.read - 1 :]

    def wanted(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """What the last layer should say, (horizon, batch, targets), and where all of it is known."""
        assert batch.target is not None
        values, (level, scale) = self._window(batch)
        _, base, _ = self._truths(values, (level, scale), batch)
        errors = ((batch.target - level) / scale - base) / self.spread[:1].unsqueeze(1)
        return errors, None if batch.mask is None else batch.mask.all(-1)

    def quantiles(self, values: Tensor, batch: Batch, scaling: tuple[Tensor, Tensor]) -> Tensor:
        if self.training and batch.target is not None:
            return self._taught(values, batch, scaling)
        return self._free(values, batch)

    def _taught(self, values: Tensor, batch: Batch, scaling: tuple[Tensor, Tensor]) -> Tensor:
        inputs, base, ahead = self._truths(values, scaling, batch)
        outputs, _ = self.read(inputs, ahead)
        return self._answer(outputs[self.layout.read - 1 :], base, self.known(base, batch))

    def _truths(self, values: Tensor, scaling: tuple[Tensor, Tensor], batch: Batch) -> tuple[Tensor, Tensor, int]:
        """What the LSTM reads where the truth is fed back, the base forecast of each step ahead, and their number."""
        assert batch.target is not None
        truth = (batch.target - scaling[0]) / scaling[1]
        seen = torch.ones_like(truth, dtype=torch.bool) if batch.mask is None else batch.mask
        whole, since = steps_since(values, truth, seen)
        ahead = self._rest(batch, slice(0, -1), seen[:-1], since[:-1])
        rest = torch.cat([self.rest(batch), ahead])
        contexts = whole[:-1].unfold(0, self.layout.context, 1)
        base = apply_map(self.base, contexts.flatten(0, 1).permute(2, 0, 1)).view(contexts.shape[:3])
        return self.inputs(whole[:-1], rest, batch.static), base, len(ahead)

    def _free(self, values: Tensor, batch: Batch) -> Tensor:
        outputs, state = self.lstm(self.inputs(values, self.rest(batch), batch.static))
        found, last = [], outputs[-1:]
        observed = torch.ones_like(values[:1], dtype=torch.bool)
        for step in range(self.layout.horizon):
            base = apply_map(self.base, values[-self.layout.context :])
            known = self.known(base.expand(self.layout.horizon, -1, -1), batch)[step : step + 1]
            found.append(self._answer(last, base, known))
            values = torch.cat([values, found[-1][..., self.median]])
            rest = self._rest(batch, slice(step, step + 1), observed, torch.zeros_like(values[:1]))
            last, state = self.lstm(self.inputs(values[-2:], rest, batch.static), state)
        return torch.cat(found)

    def _rest(self, batch: Batch, steps: slice, observed: Tensor, since: Tensor) -> Tensor:
        """The LSTM's other inputs at steps ahead: future covariates, and flags where missing values are flagged."""
        parts = [] if batch.future is None else [batch.future[steps]]
        if self.layout.flagged:
            parts += [observed.to(since), since]
        return torch.cat(parts, dim=-1) if parts else since[..., :0]

    def _answer(self, outputs: Tensor, base: Tensor, known: Tensor) -> Tensor:
        raw = self.head(self.dropout(outputs), known).unflatten(-1, (self.layout.targets, -1))
        spread = self.spread[:1].unsqueeze(1).unsqueeze(-1)
        return base.unsqueeze(-1) + spread * ordered_quantiles(raw, self.median)


NETWORKS: dict[str, type[ForecastNetwork]] = {
    "direct": DirectNetwork,
    "recursive": RecursiveNetwork,
    "seq2seq": SequenceToSequenceNetwork,
}
