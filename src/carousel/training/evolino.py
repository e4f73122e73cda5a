"""Evolino: the recurrent part of a network evolves, and its last layer is solved for each candidate at once."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn.utils import parameters_to_vector

from carousel.data import Batch
from carousel.training.evolution import CANNOT, Asked, Evolution, batched, loss_of, named_weights
from carousel.training.method import Model
from carousel.training.readouts import LeastSquares, Machines, Readout

READOUTS = ("pinv", "svr", "svc", "linear_svc")


@dataclass(kw_only=True)
class Evolino(Evolution, name="evolino"):
    """Evolution of recurrent linear networks: a search over the recurrent weights alone, the last layer is solved.

    Each network of a generation reads the batch with the truth in place of what it would feed back; its last layer is
    the line of least squares from that to the targets; then it answers the batch, running free where it reads its own
    answers, and its loss says how good it is.

    search: "esp" (sub-populations of chromosomes, one chromosome for each memory cell: all weights into it), "cosyne",
        or another search; population, sigma, bounds, seed, search_options, chunk: as for "evolution".
    readout: "pinv" (pseudo-inverse), or a support vector machine of scikit-learn (Evoke): "svr", and "svc" or
        "linear_svc" for classes and other targets that take two values.
    ridge: penalty of "pinv", in units of the mean square of a feature; 0 for the Moore-Penrose solution.
    support_vectors: rows that a machine learns from at most; of more, a sample that is the same for all networks, with
        each class at its share. machine_options: its own keywords, such as C, epsilon, kernel ("rbf", "linear", "poly")
        and gamma (a number; 1 / width if left out).

    An epoch is one generation: all data are one batch. The loss that is told is that of the weights before the update
    with a last layer solved for this batch. Needs a model with `features` and `wanted` (see `training.Model`).
    Raises ValueError or TypeError for an option outside its range, or another model.

    Source: Schmidhuber, Wierstra, Gagliolo and Gomez 2007; with support vectors Schmidhuber, Gagliolo, Wierstra and
    Gomez 2005; "cosyne" Gomez, Schmidhuber and Miikkulainen 2008.
    """

    at_once: ClassVar[bool] = True
    learns_from: ClassVar[tuple[str, ...]] = ("data",)
    means: ClassVar[bool] = True

    search: Any = "esp"
    sigma: float = 1.0
    readout: str = "pinv"
    ridge: float = 1e-9
    support_vectors: int = 500
    machine_options: dict[str, Any] | None = None

    _last: Readout = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.readout not in READOUTS:
            raise ValueError(f"readout is {self.readout!r}; it can be {', '.join(READOUTS)}")
        if not self.ridge >= 0 or self.support_vectors < 2:
            raise ValueError(
                f"ridge is {self.ridge} and support_vectors {self.support_vectors}; at least 0, and at least 2"
            )
        options = self.machine_options or {}
        if self.readout == "pinv" and options:
            raise ValueError("machine_options belong to a support vector machine; take readout='svr', or ridge=")
        self._last = (
            LeastSquares(self.ridge)
            if self.readout == "pinv"
            else Machines(self.readout, self.support_vectors, options)
        )
        super().__post_init__()

    def furnish(self, model: Model) -> None:
        if hasattr(model, "take_readout") and not self._last.fits(getattr(model, "readout", None)):
            model.take_readout(self._last.make)  # type: ignore[attr-defined]
        if not all(hasattr(model, name) for name in ("readout", "features", "wanted")):
            raise TypeError(
                f"{type(model).__name__} does not say what its last layer reads: method 'evolino' needs a model with "
                "readout, take_readout(make), features(batch) and wanted(batch) (FeedbackLSTM, SequenceRegressor, "
                "SequenceLabeler, SequenceClassifier and Forecaster have them)"
            )
        for weight in model.readout.parameters():  # type: ignore[attr-defined]
            weight.requires_grad_(False)

    def prepare(self, model: Model, batches: int, epochs: int) -> None:
        if batches > 1:
            raise ValueError(
                f"method 'evolino' solves the last layer for all data at once, but an epoch has {batches} batches; "
                "give one batch of all"
            )
        self.furnish(model)
        super().prepare(model, batches, epochs)

    def update(self, model: Model, batch: Batch) -> float:
        loss = super().update(model, batch)
        now = parameters_to_vector(self._parameters).detach().unsqueeze(0)
        own: Any = model
        tensors = dict(own.named_parameters()) | dict(own.named_buffers())
        with torch.no_grad(), _judging(model):
            for name, value in self._solved(model, batch, named_weights(model, now)).items():
                tensors[name].copy_(value[0])
        return loss

    @torch.no_grad()
    def _losses(self, model: Model, batch: Batch, vectors: Tensor) -> Tensor:
        found = []
        with _judging(model):
            for part in vectors.split(self.chunk or len(vectors)):
                named = named_weights(model, part)
                found.append(self._on_each(loss_of, model, batch, named | self._solved(model, batch, named)))
        return torch.cat(found)

    def _solved(self, model: Any, batch: Batch, named: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of the last layer of each network, by their names in the model; NaN where none can be found."""
        read = self._on_each(_features, model, batch, named)
        wanted, weight = model.wanted(batch)
        rows, target = read.flatten(1, -2).double(), wanted.flatten(0, -2).double()
        if weight is not None:
            known = weight.flatten() > 0
            rows, target = rows[:, known], target[known]
            weight = weight.flatten()[known].double() if weight.is_floating_point() else None
        good = rows.isfinite().all((1, 2))
        found = self._last.solve(rows.where(good.view(-1, 1, 1), 0), target, weight)
        if hasattr(model, "sharpness"):
            found = self._last.scaled(found, self._sharpness(model, batch, found, read))
        at = next(name for name, module in model.named_modules() if module is model.readout)
        lost = torch.where(good, 0.0, torch.nan)
        return {
            f"{at}.{name}": (value + lost.view(-1, *[1] * (value.dim() - 1))).to(read) for name, value in found.items()
        }

    def _sharpness(self, model: Any, batch: Batch, found: dict[str, Tensor], read: Tensor) -> Tensor:
        """The factor of each network's outputs, (networks,)."""

        def one(own: dict[str, Tensor], rows: Tensor) -> Tensor:
            return model.sharpness(functional_call(model.readout, own, (rows,)), batch)

        return torch.vmap(one)({name: value.to(read) for name, value in found.items()}, read).double()

    def _on_each(
        self, ask: Callable[[Any, Batch], Tensor], model: Model, batch: Batch, named: dict[str, Tensor]
    ) -> Tensor:
        """What is asked of the model with each network's tensors: at once if that is possible, else one by one."""
        if self._batched:
            try:
                return batched(ask, model, batch, named)
            except CANNOT:
                self._batched = False
        count = len(next(iter(named.values())))
        asked = Asked(model, ask)
        each = ({name: value[net] for name, value in named.items()} for net in range(count))
        return torch.stack([asked.with_tensors(own, batch) for own in each])


def _features(model: Any, batch: Batch) -> Tensor:
    return model.features(batch)


@contextmanager
def _judging(model: Model) -> Iterator[None]:
    """Inside, the model answers as in prediction."""
    was_training = model.training
    model.train(False)
    try:
        yield
    finally:
        model.train(was_training)
