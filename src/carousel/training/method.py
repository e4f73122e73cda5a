"""A way to learn: what the loop asks of a method, what a method asks of a model, and the methods by name."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from carousel.data import Batch
from carousel.training.options import check_kinds, option_names

METHODS: dict[str, type["Method"]] = {}


class DivergenceError(FloatingPointError):
    """A loss or a gradient became NaN or infinite."""


class Model(Protocol):
    """What can be trained: a `torch.nn.Module` that answers a batch and says how wrong the answer is.

    `model(batch)` is the answer and `loss(output, batch)` a scalar, the mean over the terms of the batch. A term is
    an observed target (`Batch.mask`) where there is a mask, else a sequence; a model whose mean runs over something
    else says over how many in `terms(batch) -> float`, so that losses of unequal batches are added up correctly.

    Some methods ask for more. Truncated backpropagation asks for one of two, the Kalman filter with every= for the
    first. A model that answers at every step offers `carry(batch, state) -> (output, state)`: the answers (time,
    batch, ...) to a piece of its sequences, and a tuple of tensors from which the next piece goes on; None is the
    beginning, and `Batch.reset` begins anew in between. A model that answers once a sequence offers `recent(batch,
    steps) -> output`: its answer, with a gradient that goes back through that many steps at most.
    Policy gradients ask for a model that acts: `player()`, which plays as its policy says (`experience.Player`), and
    `judge(experience) -> Judgement`, which says with a gradient what it thinks of that now. Evolution runs all weights
    of a generation at once by torch.vmap; a model that cannot be run so offers `losses(batch, vectors)`, (population,).
    `errors(output, batch)` gives answers and wanted values of one shape, before any mask, whose squared differences are
    to fall: the Kalman filter asks for them, unless the loss is their mean square.
    """

    training: bool

    def __call__(self, batch: Batch, /) -> Tensor: ...
    def loss(self, output: Tensor, batch: Batch, /) -> Tensor: ...
    def train(self, mode: bool = True) -> Any: ...
    def named_parameters(self) -> Iterator[tuple[str, nn.Parameter]]: ...
    def state_dict(self) -> dict[str, Any]: ...
    def load_state_dict(self, state_dict: Mapping[str, Any]) -> Any: ...


class Method(ABC):
    """A way to learn. A subclass is a dataclass whose fields are its options, with its name in the class line:

        @dataclass(kw_only=True)
        class BPTT(Method, name="bptt"): ...

    Everything that later updates depend on, apart from the model's own state and torch's random state, is in `state()`.
    """

    name: ClassVar[str]
    carries: ClassVar[bool] = False
    """Whether what a stream leaves behind goes on in its next batch (`Batch.reset`)."""
    at_once: ClassVar[bool] = False
    """Whether all data must be one batch."""
    learns_from: ClassVar[tuple[str, ...]] = ("data",)
    """"data", or "acting" in a model that plays, or either."""

    means: ClassVar[bool] = False
    """Whether it lowers squared errors, whatever the loss, so that answers are means."""

    def __init_subclass__(cls, *, name: str, **options: Any) -> None:
        super().__init_subclass__(**options)
        cls.name = name
        METHODS[name] = cls

    def furnish(self, model: Model) -> None:
        """Put into a new model, before its weights are read or learned, what only this method needs there."""
        del model

    @abstractmethod
    def prepare(self, model: Model, batches: int, epochs: int) -> None:
        """Begin anew on this model: `epochs` epochs of `batches` updates each are planned."""

    @abstractmethod
    def update(self, model: Model, batch: Batch) -> float:
        """Improve the model on one batch, on the model's device; return the loss before the update.

        Raises DivergenceError, with the model as it was before the update, when the loss or its gradient is not finite.
        """

    def end_epoch(self, model: Model) -> None:
        """Finish what is pending at the end of an epoch; validation comes after this."""
        del model

    def measures(self) -> dict[str, float]:
        """Figures of the last update worth keeping in the history, such as the learning rate."""
        return {}

    @abstractmethod
    def state(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """All that a resumed run needs besides the model: tensors by name, and values that JSON can hold."""

    @abstractmethod
    def restore(self, tensors: dict[str, Tensor], values: dict[str, Any]) -> None:
        """Continue from `state()`; called after `prepare`."""

    def close(self) -> None:  # noqa: B027 - most hold nothing
        """Let go of what updates hold, such as processes, when a run ends; a further update takes it again."""

    def options(self) -> dict[str, Any]:
        """The options by name, as JSON can hold them."""
        return {name: getattr(self, name) for name in option_names(type(self))}


def method_named(name: str, **options: Any) -> Method:
    """The method of that name with these options; numpy's numbers are taken as Python's.

    Raises ValueError for a name that no method has, TypeError for an option that the method does not have, or that is
    of another kind.
    """
    if name not in METHODS:
        raise ValueError(f"no learning method is called {name!r}; there are {', '.join(METHODS)}")
    known = option_names(METHODS[name])
    if unknown := [option for option in options if option not in known]:
        raise TypeError(f"method '{name}' has no option {', '.join(map(repr, unknown))}; it has {', '.join(known)}")
    check_kinds(METHODS[name], options)
    return METHODS[name](**{name: own.item() if isinstance(own, np.generic) else own for name, own in options.items()})


def terms(model: Model, batch: Batch) -> float:
    """How many terms the model's loss of this batch is a mean of: its weight among other batches."""
    if (count := getattr(model, "terms", None)) is not None:
        return float(count(batch))
    return float(len(batch.indices) if batch.mask is None else torch.count_nonzero(batch.mask))


@contextmanager
def put_back_on_divergence(weights: Sequence[Tensor]) -> Iterator[None]:
    """Inside, an update that diverges leaves these weights as they were."""
    before = [own.detach().clone() for own in weights]
    try:
        yield
    except DivergenceError:
        with torch.no_grad():
            for own, old in zip(weights, before, strict=True):
                own.copy_(old)
        raise


def trainable(model: Model) -> list[nn.Parameter]:
    """The parameters that learn. Raises ValueError when there are none."""
    parameters = [parameter for _, parameter in model.named_parameters() if parameter.requires_grad]
    if not parameters:
        raise ValueError(f"{type(model).__name__} has no parameter that requires a gradient: there is nothing to train")
    return parameters
