"""Dropout, zoneout and weight drop: what is asked for, and the masks drawn from it."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from carousel.ops import Noise


def _probability(what: str, value: object) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{what} is {value!r}; pass a probability: a number from 0 to 1")
    if not 0 <= value <= 1:
        raise ValueError(f"{what} is {value}; a probability lies between 0 and 1")


@dataclass(frozen=True)
class Dropout:
    """Drop with probability `p`, with one mask a sequence (Gal & Ghahramani 2016) or a step (Semeniuta et al. 2016)."""

    p: float
    per: Literal["sequence", "step"] = "sequence"

    def __post_init__(self) -> None:
        _probability("p", self.p)
        if self.per not in ("sequence", "step"):
            raise ValueError(f"per is {self.per!r}; a mask is drawn per 'sequence' or per 'step'")

    def mask(self, like: Tensor, time: int, units: int) -> Tensor | None:
        """A mask (time or 1, batch, units) for the batch of `like` (time, batch, …), scaled by 1 / (1 - p)."""
        if self.p == 0:
            return None
        shape = (time if self.per == "step" else 1, like.shape[1], units)
        return F.dropout(torch.ones(shape, dtype=like.dtype, device=like.device), self.p)


@dataclass(frozen=True)
class Regularization:
    """What is dropped or kept back while training; at test time zoneout mixes by its expectation."""

    zoneout: tuple[float, float] = (0.0, 0.0)
    recurrent: Dropout = Dropout(0.0)
    input: Dropout = Dropout(0.0)
    weight: float = 0.0

    @property
    def active(self) -> bool:
        """Whether any of them is asked for."""
        return self != NOTHING

    def drop_input(self, x: Tensor, training: bool) -> Tensor:
        """x (time, batch, features) with inputs dropped."""
        mask = self.input.mask(x, x.shape[0], x.shape[2]) if training else None
        return x if mask is None else x * mask

    def drop_weight(self, R: Tensor | None, training: bool) -> Tensor | None:
        """The recurrent matrix with weights dropped (Merity et al. 2018); the parameter itself stays whole."""
        return R if R is None or not self.weight else F.dropout(R, self.weight, training)

    def noise(self, like: Tensor, widths: dict[str, int], training: bool) -> Noise:
        """The masks of one layer and direction for the sequences of `like` (time, batch, …).

        `widths` are the units of the state's tensors, and under "read" those that R reads.
        """
        time, hidden, cell = like.shape[0], widths["hidden"], widths["cell"]
        keep_h, keep_c = (
            self._zoneout(like, p, width, training) for p, width in zip(self.zoneout, (hidden, cell), strict=True)
        )
        if not training or not self.recurrent.p:
            return Noise(keep_h, keep_c)
        if self.recurrent.per == "sequence":
            return Noise(keep_h, keep_c, drop_hidden=self.recurrent.mask(like, time, widths["read"]))
        return Noise(keep_h, keep_c, drop_candidate=self.recurrent.mask(like, time, cell))

    @staticmethod
    def _zoneout(like: Tensor, p: float, width: int, training: bool) -> Tensor | None:
        if p == 0:
            return None
        if not training:
            return like.new_full((1, 1, 1), p)
        return torch.bernoulli(like.new_full((like.shape[0], like.shape[1], width), p))


NOTHING = Regularization()


def regularization(
    zoneout: float | tuple[float, float], recurrent: float | Dropout, inputs: float | Dropout, weight: float
) -> Regularization:
    """Check and gather the options of a layer.

    Raises ValueError or TypeError if a probability is not a number in [0, 1].
    """
    pair = tuple(zoneout) if isinstance(zoneout, tuple | list) else (zoneout, zoneout)
    if len(pair) != 2:
        raise ValueError(f"zoneout is {zoneout!r}; pass one probability, or two: (hidden, cell)")
    for p in pair:
        _probability("zoneout", p)
    _probability("weight_drop", weight)
    return Regularization(pair, _dropout("recurrent_dropout", recurrent), _dropout("input_dropout", inputs), weight)


def _dropout(what: str, value: float | Dropout) -> Dropout:
    if isinstance(value, Dropout):
        return value
    _probability(what, value)
    return Dropout(float(value))
