"""A last layer found at once for each network of a population: least squares, or support vector machines."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from sklearn.svm import SVC, SVR, LinearSVC
from torch import Tensor, nn

from carousel.nn import SupportVectors

SHAPES = ("kernel", "gamma", "degree", "coef0")


@dataclass(frozen=True)
class Readout(ABC):
    """A way to find a last layer: which module it is, and its tensors given what it reads and should say."""

    @abstractmethod
    def make(self, width: int, outputs: int) -> nn.Module:
        """The module, before anything is known."""

    @abstractmethod
    def fits(self, layer: Any) -> bool:
        """Whether that module is one of these."""

    @abstractmethod
    def solve(self, read: Tensor, wanted: Tensor, weight: Tensor | None) -> dict[str, Tensor]:
        """The module's tensors by name, float64, with an axis of networks in front.

        read (networks, rows, width) and wanted (rows, outputs) in float64; weight (rows,), above 0, or None.
        """

    def scaled(self, tensors: dict[str, Tensor], factor: Tensor) -> dict[str, Tensor]:
        """The tensors of layers whose outputs are `factor` (networks,) times as large."""
        return {
            name: value if name == "vectors" else value * factor.view(-1, *[1] * (value.dim() - 1))
            for name, value in tensors.items()
        }


@dataclass(frozen=True)
class LeastSquares(Readout):
    """The line of least squares, by the pseudo-inverse, with `ridge` times the mean square of a feature as penalty.

    A bias is part of it, and has no penalty. With ridge=0 it is the Moore-Penrose solution.
    """

    ridge: float = 1e-9

    def make(self, width: int, outputs: int) -> nn.Module:
        return nn.Linear(width, outputs)

    def fits(self, layer: Any) -> bool:
        return isinstance(layer, nn.Linear) and layer.bias is not None

    def solve(self, read: Tensor, wanted: Tensor, weight: Tensor | None) -> dict[str, Tensor]:
        share = wanted.new_ones(len(wanted), 1) if weight is None else weight.unsqueeze(1)
        share = share / share.sum()
        middle, target = (share * read).sum(1, keepdim=True), (share * wanted).sum(0, keepdim=True)
        left, right = share.sqrt() * (read - middle), share.sqrt() * (wanted - target)
        if self.ridge:
            penalty = (self.ridge * left.square().sum((1, 2), keepdim=True) / read.shape[2]).sqrt()
            penalty = penalty.clamp_min(torch.finfo(read.dtype).tiny ** 0.5)
            left = torch.cat([left, penalty * torch.eye(read.shape[2]).to(read)], dim=1)
            right = torch.cat([right, right.new_zeros(read.shape[2], right.shape[1])])
        found = torch.linalg.pinv(left) @ right if not self.ridge else _by_qr(left, right)
        return {"weight": found.mT, "bias": (target - middle @ found)[:, 0]}


def _by_qr(left: Tensor, right: Tensor) -> Tensor:
    """The solution of full rank, (networks, width, outputs)."""
    q, r = torch.linalg.qr(left)
    return torch.linalg.solve_triangular(r, q.mT @ right, upper=True)


@dataclass(frozen=True)
class Machines(Readout):
    """A support vector machine of scikit-learn for each output, on at most `rows` rows, a sample of all.

    The sample is drawn by chance, but alike for the same targets, so that networks are told apart by nothing else.
    kind: "svr" for numbers, "svc" or "linear_svc" for outputs that take two values; these say something above 0 for
    the higher one. options: the machine's own keywords, such as C, epsilon, kernel and gamma.
    """

    kind: str
    rows: int = 500
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _machine(self.kind, self.options)
        if not isinstance(self.options.get("gamma", 1.0), int | float | None):
            raise TypeError(f"gamma is {self.options['gamma']!r}; here it is a number, or left out for 1 / width")

    def make(self, width: int, outputs: int) -> nn.Module:
        if self.kind == "linear_svc":
            return nn.Linear(width, outputs)
        shape = {name: value for name, value in self.options.items() if name in SHAPES}
        return SupportVectors(width, outputs, self.rows, **shape)

    def fits(self, layer: Any) -> bool:
        if self.kind == "linear_svc":
            return isinstance(layer, nn.Linear) and layer.bias is not None
        if not isinstance(layer, SupportVectors) or layer.capacity != self.rows:
            return False
        made: Any = self.make(layer.in_features, layer.out_features)
        return all(getattr(made, name) == getattr(layer, name) for name in SHAPES)

    def solve(self, read: Tensor, wanted: Tensor, weight: Tensor | None) -> dict[str, Tensor]:
        chosen = self._chosen(wanted.cpu()).to(wanted.device)
        target = wanted[chosen].cpu().numpy()
        target = target if self.kind == "svr" else _signs(target, self.kind)
        weights = None if weight is None else weight[chosen].cpu().numpy()
        rows = read[:, chosen].cpu().numpy()
        each = [self._one(own, target, weights) for own in rows]
        return {name: torch.stack([found[name] for found in each]).to(read) for name in each[0]}

    def _chosen(self, wanted: Tensor) -> Tensor:
        """The rows to learn from, in their order: drawn by chance, always the same, each class at its share."""
        total, count = len(wanted), min(self.rows, len(wanted))
        if count == total:
            return torch.arange(total)
        drawn = torch.from_numpy(np.random.default_rng(0).permutation(total))
        if self.kind == "svr":
            return drawn[:count].sort().values
        classes = wanted.unique(dim=0, return_inverse=True)[1]
        by_class = drawn[classes[drawn].argsort(stable=True)]
        return by_class[torch.arange(count) * total // count].sort().values

    def _one(self, rows: Any, target: Any, weight: Any) -> dict[str, Tensor]:
        """The tensors of one network's layer."""
        found = [self._machine(rows, column, weight) for column in target.T]
        parts, constants = zip(*found, strict=True)
        stacked, intercept = torch.from_numpy(np.stack(parts)), torch.tensor(constants, dtype=torch.float64)
        if self.kind == "linear_svc":
            return {"weight": stacked, "bias": intercept}
        spare = self.rows - len(rows)
        return {
            "vectors": nn.functional.pad(torch.from_numpy(rows.copy()), (0, 0, 0, spare)),
            "dual": nn.functional.pad(stacked, (0, spare)),
            "intercept": intercept,
        }

    def _machine(self, rows: Any, column: Any, weight: Any) -> tuple[Any, float]:
        """The weights of features ("linear_svc") or rows of one output, and its constant."""
        wide = rows.shape[1] if self.kind == "linear_svc" else len(rows)
        if column.min() == column.max():
            return np.zeros(wide), float(column[0])
        usual = {} if self.kind == "linear_svc" else {"gamma": 1 / rows.shape[1]}
        fitted = _machine(self.kind, usual | dict(self.options))
        fitted.fit(rows, column, sample_weight=weight)
        if self.kind == "linear_svc":
            return fitted.coef_[0], float(fitted.intercept_[0])
        dual = np.zeros(wide)
        dual[fitted.support_] = fitted.dual_coef_[0]
        return dual, float(fitted.intercept_[0])


def _machine(kind: str, options: Mapping[str, Any]) -> Any:
    """A machine of that kind. Raises ValueError or TypeError for options that it does not have."""
    return {"svr": SVR, "svc": SVC, "linear_svc": LinearSVC}[kind](**options)


def _signs(target: Any, kind: str) -> Any:
    """-1 and 1 for the two values that an output takes. Raises ValueError for other outputs."""
    low, high = target.min(), target.max()
    if not np.isin(target, (low, high)).all():
        raise ValueError(
            f"readout='{kind}' tells two values apart, but the wanted numbers take more; take 'svr' or 'pinv'"
        )
    return np.where(target == high, 1.0, -1.0)
