"""Evolution: learning without gradients, by trying whole populations of weights and keeping what lowers the loss."""

import copy
import inspect
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from carousel.data import Batch
from carousel.training.groups import weight_groups
from carousel.training.method import DivergenceError, Method, Model, trainable
from carousel.training.searches import AskTell, Search, search_named
from carousel.training.searches.search import worst_where_not_finite
from carousel.training.workers import Workers, workers_of

PIECES = 8
"""How many pieces a population is cut into where there are workers, if nothing else is said."""
SEEDS = 2**31
CANNOT = (RuntimeError, NotImplementedError, TypeError, ValueError, UserWarning)
"""What torch.vmap raises for a model that it cannot run on many weights at once."""


@dataclass(kw_only=True)
class Evolution(Method, name="evolution"):
    """A search over all weights as one vector: a batch gives one generation, and the loss is what is lowered.

    search: "snes", "pgpe", "openai_es", "cma", "ga", "esp" or "cosyne", or an object with `ask()` and `tell(scores)`,
        whose own options then count (and which has `state()` and `restore()` if there are to be checkpoints). A `tell`
        that wants two arguments, as that of the package cma, hears what it asked, too. Losses come as a numpy array,
        the worst in place of what is not finite. An object goes on from fit to fit: give a new one to begin anew.
    population: networks in a generation; sigma: how far from the weights they lie at the start; bounds: (lowest,
        highest) value of every weight; seed: of the search's own random numbers, None draws it from those of the run.
    search_options: further keywords of the search, such as learning_rate of "openai_es".
    chunk: how many networks run at once, to bound memory; None for all, or where there are workers for an eighth.
    workers: who runs them: 1 is this process, more are processes on this machine, "ray" is a Ray cluster, and an
        object of `training.workers` is itself. The result depends on `chunk`, not on who they are or how many.

    Networks are compared without dropout, as in prediction. Where torch.vmap runs the model and its loss, as it does
    all of carousel's but Transcriber's, a generation is one batched recurrence; else one network runs after the other,
    and the history says so: `batched` is 0. After each generation the model has the weights that the search holds best.
    Raises ValueError or TypeError for an option outside its range, ImportError for "cma" without its package.
    """

    learns_from: ClassVar[tuple[str, ...]] = ("data", "acting")

    search: str | AskTell = "snes"
    population: int = 64
    sigma: float = 0.05
    bounds: tuple[float, float] | None = None
    seed: int | None = None
    search_options: dict[str, Any] | None = None
    chunk: int | None = None
    workers: int | str | Workers = 1

    _parameters: list[nn.Parameter] = field(init=False, repr=False, compare=False)
    _groups: list[list[int]] | None = field(init=False, repr=False, compare=False, default=None)
    _search: AskTell = field(init=False, repr=False, compare=False)
    _batched: bool = field(init=False, repr=False, compare=False, default=True)
    _lowest: float = field(init=False, repr=False, compare=False, default=math.nan)
    _workers: Workers | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.chunk is not None and not (isinstance(self.chunk, Integral) and self.chunk >= 1):
            raise ValueError(
                f"chunk is {self.chunk!r}; it is how many networks run at once, 1 or more, or None for all"
            )
        self.chunk = None if self.chunk is None else int(self.chunk)
        self._from(torch.zeros(2), 0, {name: own for name, own in self._own.items() if name != "groups"})
        self._workers = None if self._alone else workers_of(self.workers)

    def prepare(self, model: Model, batches: int, epochs: int) -> None:
        self._parameters = trainable(model)
        self._groups = [group.tolist() for group in weight_groups(model, "cell")] if self.search == "esp" else None
        seed = int(torch.randint(SEEDS, ())) if self.seed is None else self.seed
        self._search = self._from(parameters_to_vector(self._parameters), seed, self._own)
        self._batched = isinstance(model, nn.Module)

    def update(self, model: Model, batch: Batch) -> float:
        asked, now = self._search.ask(), parameters_to_vector(self._parameters).detach()
        tried = _proposed(asked, len(now))
        losses = self._all_losses(model, batch, torch.cat([tried.to(now), now.unsqueeze(0)])).to("cpu", torch.float64)
        scores, before = losses[:-1], losses[-1].item()
        if not (math.isfinite(before) and scores.isfinite().any()):
            told = "no network of the generation has a loss" if math.isfinite(before) else f"the loss is {before}"
            raise DivergenceError(f"{told}; lower sigma (now {self.sigma:g}) or set bounds on the weights")
        self._lowest = scores[scores.isfinite()].min().item()
        _tell(self._search, asked, scores)
        kept = self._kept(tried, scores).to(now)
        if not kept.isfinite().all():
            raise DivergenceError("the search holds weights best that are not finite; lower its rates, or set bounds")
        self._take(kept)
        return before

    def measures(self) -> dict[str, float]:
        return {"lowest": self._lowest, "batched": float(self._batched)}

    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors, values = self._resumable().state()
        return tensors, {"search": values, "batched": self._batched}

    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        self._resumable().restore(tensors, values["search"])
        self._batched = values["batched"]

    def options(self) -> dict[str, Any]:
        search = self.search if isinstance(self.search, str) else type(self.search).__name__
        options = {**super().options(), "search": search, "chunk": self._piece}
        del options["workers"]  # the same run, whoever computes it
        return options

    def close(self) -> None:
        if self._workers is not None and not isinstance(self.workers, Workers):
            self._workers.close()

    @property
    def _alone(self) -> bool:
        """Whether populations run whole, in this process."""
        return isinstance(self.workers, int) and not isinstance(self.workers, bool) and self.workers == 1

    @property
    def _piece(self) -> int | None:
        """How many networks run at once; None for all."""
        return self.chunk if self._alone else self.chunk or -(-self.population // PIECES)

    @property
    def _own(self) -> dict[str, Any]:
        """The search's own options."""
        return self.search_options or {}

    def _from(self, start: Tensor, seed: int, own: dict[str, Any]) -> AskTell:
        """The search, from these weights on, with its own options."""
        if not isinstance(self.search, str):
            if not isinstance(self.search, AskTell):
                raise TypeError(f"search is {self.search!r}; give a name, or an object with ask() and tell(scores)")
            return self.search
        usual = {"population": self.population, "sigma": self.sigma, "bounds": self.bounds, "seed": seed}
        usual |= {} if self._groups is None else {"groups": self._groups}
        return search_named(self.search, start, **{**usual, **own})

    def _resumable(self) -> Search:
        if not (hasattr(self._search, "state") and hasattr(self._search, "restore")):
            raise TypeError(f"{type(self._search).__name__} has no state() and restore(): it can have no checkpoints")
        return self._search  # type: ignore[return-value]

    def _kept(self, tried: Tensor, scores: Tensor) -> Tensor:
        """The weights to go on with: the search's mean, or the best of the generation if it tells none."""
        mean = getattr(self._search, "mean", None)
        if isinstance(mean, Tensor | np.ndarray) and mean.shape == tried.shape[1:]:
            return torch.as_tensor(mean)
        return tried[scores.nan_to_num(math.inf).argmin()]

    def _take(self, vector: Tensor) -> None:
        with torch.no_grad():
            vector_to_parameters(vector, self._parameters)

    def _all_losses(self, model: Model, batch: Batch, vectors: Tensor) -> Tensor:
        """The loss of each vector of weights, (population,), by the workers if there are any."""
        if self._workers is None:
            return self._losses(model, batch, vectors)
        cut = vectors.split(self._piece or len(vectors))
        seeds = torch.randint(SEEDS, (len(cut),)).tolist()
        task = partial(_losses_of_piece, self._assistant(), model, batch)
        found = self._workers.map(task, [(part.clone(), seed) for part, seed in zip(cut, seeds, strict=True)])
        self._batched = all(batched for _, batched in found)
        return torch.cat([losses for losses, _ in found])

    def _assistant(self) -> "Evolution":
        """What a worker needs to find losses: this method without its search."""
        other = copy.copy(self)
        other.search, other.workers, other._workers = "snes", 1, None
        for name in ("_search", "_parameters"):
            del vars(other)[name]
        return other

    @torch.no_grad()
    def _losses(self, model: Model, batch: Batch, vectors: Tensor) -> Tensor:
        """The loss of each vector of weights, (population,), all at once if that is possible."""
        was_training = model.training
        model.train(False)
        try:
            if self._batched:
                try:
                    return batched_losses(model, batch, vectors, self.chunk)
                except CANNOT:
                    self._batched = False
            return self._one_by_one(model, batch, vectors)
        finally:
            model.train(was_training)

    def _one_by_one(self, model: Model, batch: Batch, vectors: Tensor) -> Tensor:
        before = parameters_to_vector(self._parameters)
        try:
            return torch.stack([self._loss(model, batch, vector) for vector in vectors])
        finally:
            self._take(before)

    def _loss(self, model: Model, batch: Batch, vector: Tensor) -> Tensor:
        self._take(vector.clone())
        return model.loss(model(batch), batch)


def _losses_of_piece(
    assistant: Evolution, model: Model, batch: Batch, piece: tuple[Tensor, int]
) -> tuple[Tensor, bool]:
    """The losses of some vectors of weights, on one thread and from a seed, and whether they ran at once."""
    (vectors, seed), method, threads = piece, copy.copy(assistant), torch.get_num_threads()
    method._parameters = trainable(model)
    torch.set_num_threads(1)
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return method._losses(model, batch, vectors), method._batched
    finally:
        torch.set_num_threads(threads)


def _proposed(asked: Any, parameters: int) -> Tensor:
    """What a search asked for, (population, parameters). Raises ValueError for anything else."""
    try:
        tried = asked if isinstance(asked, Tensor) else torch.from_numpy(np.asarray(asked, dtype=np.float64))
        shape = f"an array of shape {tuple(tried.shape)}"
    except (TypeError, ValueError):
        tried, shape = torch.empty(0), f"{asked!r:.80}"
    if tried.dim() != 2 or not len(tried) or tried.shape[1] != parameters:
        raise ValueError(
            f"ask() of the search gave {shape}; the model has {parameters} weights that learn: give (networks, "
            f"{parameters}), a row of numbers for each network to try"
        )
    return tried


def _tell(search: AskTell, asked: Any, scores: Tensor) -> None:
    """Tell a search its losses, finite ones; and what it asked, if it wants to hear that first."""
    losses = worst_where_not_finite(scores).numpy()
    try:
        given = list(inspect.signature(search.tell).parameters.values())
    except ValueError:  # a function that Python cannot look into
        given = []
    if len([one for one in given if one.default is one.empty and one.kind <= one.POSITIONAL_OR_KEYWORD]) == 2:
        search.tell(asked, losses)  # type: ignore[call-arg]
    else:
        search.tell(losses)


def batched_losses(model: Model, batch: Batch, vectors: Tensor, chunk: int | None = None) -> Tensor:
    """The model's loss of a batch with each of the vectors (population, parameters) as its weights.

    By the model's own `losses(batch, vectors)` if it has one, else by torch.vmap.
    """
    if (own := getattr(model, "losses", None)) is not None:
        return torch.cat([own(batch, part) for part in vectors.split(chunk or len(vectors))])
    return batched(loss_of, model, batch, named_weights(model, vectors), chunk)


def loss_of(model: Any, batch: Batch) -> Tensor:
    """The model's loss of a batch."""
    return model.loss(model(batch), batch)


def named_weights(model: Model, vectors: Tensor) -> dict[str, Tensor]:
    """The trainable weights by name, each (population, ...), from vectors (population, parameters) of all of them."""
    named, at = dict[str, Tensor](), 0
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = vectors[:, at : at + parameter.numel()]
            named[name] = part.unflatten(1, parameter.shape) if parameter.dim() else part[:, 0]
            at += parameter.numel()
    return named


def batched(
    ask: Callable[[Any, Batch], Tensor], model: Model, batch: Batch, named: dict[str, Tensor], chunk: int | None = None
) -> Tensor:
    """What is asked of the model with the tensors of each network, (population, ...), by torch.vmap.

    named: parameters and buffers that take the place of the model's, with an axis of networks in front.
    """
    asked = Asked(model, ask)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*performance drop.*")  # a loop inside vmap is slower than our own
        return torch.vmap(lambda own: asked.with_tensors(own, batch), chunk_size=chunk)(named)


class Asked(nn.Module):
    """A model that answers a question about a batch, with its own tensors or with others in their place."""

    def __init__(self, model: Any, ask: Callable[[Any, Batch], Tensor]) -> None:
        super().__init__()
        self.model, self.ask = model, ask
        self.training = model.training
        self._places = _places(self)

    def forward(self, batch: Batch) -> Tensor:
        return self.ask(self.model, batch)

    def with_tensors(self, named: dict[str, Tensor], batch: Batch) -> Tensor:
        """The answer with these tensors in place of the model's of that name, wherever the model has those."""
        own = {place: value for name, value in named.items() for place in self._places[f"model.{name}"]}
        return functional_call(self, own, (batch,), tie_weights=False)


def _places(model: nn.Module) -> dict[str, list[str]]:
    """By the name of each parameter and buffer the names of all that are the same tensor.

    A module has one name here, even if others hold it under several: functional_call exchanges the tensors of each name
    one after the other, and a tensor that it exchanges twice it does not put back.
    """
    tensors = {
        f"{prefix}.{name}": tensor
        for prefix, module in model.named_modules()
        for kind in (module.named_parameters, module.named_buffers)
        for name, tensor in kind(recurse=False, remove_duplicate=False)
    }
    same: dict[Tensor, list[str]] = {}
    for name, tensor in tensors.items():
        same.setdefault(tensor, []).append(name)
    return {name: same[tensor] for name, tensor in tensors.items()}
