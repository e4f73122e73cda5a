"""An LSTM that reads its own last answers: taught with the truth in their place, then running free."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carousel.cells import Cell
from carousel.data import Batch
from carousel.nn.stack import LSTM
from carousel.ops import State, recurrence


class FeedbackLSTM(nn.Module):
    """An LSTM with a linear last layer whose answers y_t come back as inputs: it reads [x_t, backprojection · y_{t-1}].

    Batches have targets (time, batch, outputs); their inputs (time, batch, inputs) may have no features. For the first
    `washout` steps it reads the true y_{t-1} (teacher forcing); from then on it reads its own answers, so that the
    answer to step `washout` is the first that counts. It keeps to what training methods ask of a model.

    Args:
        inputs: features of each step from outside; 0 for none.
        hidden: cells a layer.
        outputs: numbers a step.
        washout: steps in the beginning of a sequence that are read, not judged; at least 1.
        backprojection: factor of what is fed back.
        cell: a name of the table, or a `carousel.Cell`.
        dtype, device: of the parameters.
        options: further keywords of `carousel.LSTM`, such as num_layers or forget_bias, but for batch_first and
            bidirectional.

    Raises ValueError for such an option or a washout below 1, and for a batch no longer than the washout.

    Source: Schmidhuber, Wierstra, Gagliolo and Gomez 2007.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        *,
        washout: int,
        backprojection: float = 1.0,
        cell: str | Cell = "lstm",
        **options: Any,
    ) -> None:
        super().__init__()
        if washout < 1:
            raise ValueError(f"washout is {washout}; the network reads the truth for 1 step at least")
        if options.get("bidirectional"):
            raise ValueError("what reads its own answers reads forwards; use bidirectional=False")
        if options.get("batch_first"):
            raise ValueError("batches here are time first; use batch_first=False")
        self.inputs, self.outputs, self.washout, self.backprojection = inputs, outputs, washout, backprojection
        self.lstm = LSTM(inputs + outputs, hidden, cell=cell, **options)
        place = {name: options[name] for name in ("device", "dtype") if name in options}
        width = self.lstm.proj_size or hidden
        self.readout: nn.Module = nn.Linear(width, outputs, **place)

    def take_readout(self, make: Callable[[int, int], nn.Module]) -> None:
        """Put another last layer in place, made for (width, outputs)."""
        own: Any = self
        old, weight = own.readout, own.lstm.weight_ih_l0
        self.readout = make(old.in_features, old.out_features).to(weight.device, weight.dtype)

    def features(self, batch: Batch) -> Tensor:
        """What the last layer reads where all that is fed back is the truth, from the washout on."""
        return self._taught(batch, len(batch.inputs))[0][self.washout :]

    def wanted(self, batch: Batch) -> tuple[Tensor, Tensor | None]:
        """The targets from the washout on, and which of them are known, if not all."""
        assert batch.target is not None
        known = None if batch.mask is None else batch.mask[self.washout :]
        return batch.target[self.washout :], known

    def forward(self, batch: Batch) -> Tensor:
        """Answers from the washout on, (time - washout, batch, outputs): taught in training, else running free."""
        if self.training:
            return self.readout(self.features(batch))
        return self.dream(batch, len(batch.inputs) - self.washout)

    def loss(self, output: Tensor, batch: Batch) -> Tensor:
        """Mean squared error of what is known."""
        wanted, known = self.wanted(batch)
        errors = (output - wanted).square()
        if known is None:
            return errors.mean()
        inside = known.view(*known.shape, *[1] * (errors.dim() - known.dim())).expand_as(errors)
        return errors.where(inside, 0).sum() / inside.sum()

    def dream(self, batch: Batch, steps: int) -> Tensor:
        """Answers (steps, batch, outputs) of `steps` free steps after the washout, with the batch's inputs there."""
        read, state = self._taught(batch, self.washout + 1)
        first = self.readout(read[-1:])
        ahead = batch.inputs[self.washout + 1 : self.washout + steps]
        run = self._folded if self._folds() else self._looped
        return torch.cat([first, run(ahead, first, state)])[:steps]

    def step(self, x: Tensor, last: Tensor, state: Any) -> tuple[Tensor, Any]:
        """One step: the answer (batch, outputs) to inputs x (batch, inputs) after the answer `last`, and the state."""
        read = torch.cat([x, self.backprojection * last], dim=-1).unsqueeze(0)
        outputs, state = self.lstm(read, state)
        return self.readout(outputs[0]), state

    def _taught(self, batch: Batch, steps: int) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The LSTM's outputs at the first steps, and its state after them, with the truth fed back."""
        assert batch.target is not None
        if len(batch.target) <= self.washout:
            raise ValueError(
                f"the batch has {len(batch.target)} steps, all within the washout of {self.washout}; give longer "
                "sequences, or a shorter washout"
            )
        before = F.pad(batch.target[: steps - 1], (0, 0, 0, 0, 1, 0))
        return self.lstm(torch.cat([batch.inputs[:steps], self.backprojection * before.nan_to_num()], dim=-1))

    def _folds(self) -> bool:
        """Whether a free run is a recurrence of its own: one layer whose gates all read what the last layer reads."""
        cell, lstm = self.lstm.cell, self.lstm
        whole = cell.recurrent == cell.learned and not cell.reads_cell and not cell.norm
        single = lstm.num_layers == 1 and lstm.bias and not lstm.residual
        return whole and single and not any(lstm.regularization.zoneout) and isinstance(self.readout, nn.Linear)

    def _folded(self, x: Tensor, first: Tensor, state: tuple[Tensor, ...]) -> Tensor:
        """The free run in one recurrence: W_y (V h + v) joins R h + b, with V, v of the last layer."""
        del first
        assert isinstance(self.readout, nn.Linear)
        weights = self.lstm._layer(0, reverse=False).weights
        outside, back = weights.W.split([self.inputs, self.outputs], dim=1)
        back = self.backprojection * back
        given = weights.recurrent(weights.named["weight_hh"] + back @ self.readout.weight)
        gates = F.linear(x, outside, weights.bias()) + back @ self.readout.bias
        outputs, _ = recurrence(self.lstm.cell, gates, given, State(*(part[0] for part in state)))
        return self.readout(outputs)

    def _looped(self, x: Tensor, first: Tensor, state: tuple[Tensor, ...]) -> Tensor:
        """The free run step by step."""
        last, found = first[0], [first[:0]]
        for inputs in x:
            last, state = self.step(inputs, last, state)
            found.append(last.unsqueeze(0))
        return torch.cat(found)
