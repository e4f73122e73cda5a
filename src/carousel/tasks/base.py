"""What all estimators share: their common parameters, and the ceremony of learning, saving and predicting."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Generator
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, Self, final

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from carousel import training
from carousel.cells import Cell
from carousel.data import Batches
from carousel.nn import LSTM
from carousel.tasks.network import as_dtype
from carousel.tasks.online import Online
from carousel.tasks.parameters import check_parameters, parameter
from carousel.training.method import option_names

_OWN_FIELDS = {"cell", "dropout", "bidirectional", "num_layers", "hidden_size", "input_size", "batch_first"}


@dataclass(frozen=True)
class Material:
    """What an estimator learns from: checked, scaled and cut into batches."""

    batches: Batches
    validation: Batches | None = None


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceEstimator(BaseEstimator, ABC):
    """An LSTM that learns from sequences, in scikit-learn's manner.

    The dataclass fields are the parameters. A task says what its network is (`_network`), which attributes
    fitting sets (`_learned`), and turns its arguments into `Material`; the rest happens here.
    """

    cell: str | Cell = parameter("lstm", "the cell: a name from `carousel cells`, or a carousel.Cell")
    hidden_size: int = parameter(64, "memory cells in a layer and direction", minimum=1)
    num_layers: int = parameter(1, "LSTM layers on top of each other", minimum=1)
    bidirectional: bool = parameter(False, "also read each series from its end")
    dropout: float = parameter(
        0.0, "share of outputs dropped in training, between layers and before the head", minimum=0, below=1
    )
    lstm_options: dict[str, Any] | None = parameter(None, "further keywords of carousel.LSTM, such as norm or zoneout")
    method: str = parameter("bptt", "how the network learns, by a name from carousel.training.METHODS")
    method_options: dict[str, Any] | None = parameter(
        None, "further keywords of the method, such as schedule or clip_norm"
    )
    learning_rate: float = parameter(3e-3, "step size of the method", above=0)
    max_epochs: int = parameter(100, "passes over the training series, at most", minimum=1)
    batch_size: int = parameter(32, "series in a batch", minimum=1)
    patience: int | None = parameter(
        20, "epochs without improvement on the held-out part before stopping; None: never", minimum=1
    )
    device: str = parameter("cpu", "where the network runs, in torch's words")
    random_state: int | np.random.RandomState | None = parameter(None, "seed of weights, order and dropout")
    verbose: int = parameter(0, "1 prints a line an epoch", minimum=0)

    _learned: ClassVar[dict[str, Any]] = {}
    _method_defaults: ClassVar[dict[str, Any]] = {}
    _learns_from: ClassVar[str] = "data"
    _refused: ClassVar[dict[str, str]] = {}
    """Methods that could learn from what this task has, but cannot be used here, and why not."""

    @abstractmethod
    def _network(self) -> Any:
        """The untrained network, from the parameters and the attributes in `_learned`.

        It is a `torch.nn.Module` that keeps to `training.Model`.
        """

    def _check_learned(self) -> None:
        """Raise ValueError when the attributes in `_learned` contradict each other (a tampered file)."""

    def _begin(self) -> int:
        """Check the parameters, forget an earlier fit, and draw the seed of this one."""
        check_parameters(self)
        self._check_method()
        self._forget()
        self.settled_ = self._choices()
        return int(check_random_state(self.random_state).randint(2**31 - 1))

    def _choices(self) -> dict[str, Any]:
        """The parameters that were left to the method, with what they are for this one."""
        return {}

    def _setting(self, name: str) -> Any:
        """A parameter, or where it was left to the method what fitting settled on."""
        settled = vars(self).get("settled_")
        return (self._choices() if settled is None else settled).get(name, getattr(self, name))

    @classmethod
    def _methods(cls) -> list[str]:
        """The methods by which this task can learn."""
        able = [name for name, method in training.METHODS.items() if cls._learns_from in method.learns_from]
        return [name for name in able if name not in cls._refused]

    def _check_method(self) -> None:
        """Raise ValueError for a method that this task cannot learn by."""
        method = training.METHODS.get(self.method)
        if method is None or self.method in self._methods():
            return
        if self.method in self._refused:
            raise ValueError(f"method={self.method!r} {self._refused[self.method]}; use method='bptt'")
        if self._learns_from == "data":
            raise ValueError(
                f"method {self.method!r} learns to act, and a {type(self).__name__} learns from data; take 'bptt', or "
                "a Controller (`carousel fit control`)"
            )
        *most, last = map(repr, self._methods())
        raise ValueError(
            f"method {self.method!r} learns from data, and an environment has none; take {', '.join(most)} or {last}"
        )

    def _forget(self) -> None:
        for name in (*self._learned, "network_", "history_", "_online", "settled_"):
            if name in vars(self):
                delattr(self, name)

    @final
    def _learn(
        self, material: Material, seed: int, checkpoint: str | PathLike[str] | None
    ) -> Generator[training.Report, None, None]:
        """Train a new network and report; what was learned stays when the caller stops early."""
        network = self._new_network(seed)
        reports = training.fit(
            network,
            material.batches,
            self._method(),
            self._plan(material, seed, checkpoint),
            validation=material.validation,
        )
        self.network_, self.history_ = network, []
        try:
            for report in reports:
                self._record(report)
                yield report
        except training.DivergenceError:
            raise
        except Exception:
            self._forget()
            raise
        finally:
            reports.close()
            network.eval()

    def _new_network(self, seed: int) -> Any:
        """An untrained network on the device; the caller's random numbers are left alone."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self._furnished().to(self.device)

    def _furnished(self) -> Any:
        """The untrained network, with what the method needs in it."""
        network = self._network()
        if self.method in training.METHODS:
            with torch.device("cpu"):
                method = self._method()
            method.furnish(network)
        return network

    def _items_at_once(self, items: int) -> int:
        """How many of so many items a batch has."""
        return items if self._at_once() else self.batch_size

    def _at_once(self) -> bool:
        return self.method in training.METHODS and training.METHODS[self.method].at_once

    def _going_on(self) -> Online:
        """What learns call by call, from the fitted network on; made at the first call.

        Raises ValueError for a method that needs all data at once.
        """
        if self._at_once():
            raise ValueError(
                f"partial_fit sees a part of the data, but method={self.method!r} learns from all; use fit"
            )
        if "_online" not in vars(self):
            seed = int(check_random_state(self.random_state).randint(2**31 - 1))
            self._online = Online(self.network_, self._method(schedule="constant"), seed)
        return self._online

    def _method(self, **changed: Any) -> training.Method:
        """The method with its options; `changed` are other defaults than the task's."""
        options = {"learning_rate": self.learning_rate, **self._method_defaults, **changed}
        if "optimizer" in (self.method_options or {}):
            options.pop("weight_decay", None)  # meant for the usual optimizer
        known = option_names(training.METHODS[self.method]) if self.method in training.METHODS else []
        usual = {name: value for name, value in options.items() if name in known}
        return training.method_named(self.method, **{**usual, **(self.method_options or {})})

    def _plan(self, material: Material, seed: int, checkpoint: str | PathLike[str] | None) -> training.Plan:
        path = None if checkpoint is None else Path(checkpoint)
        patience = None if material.validation is None else self.patience
        return training.Plan(epochs=self.max_epochs, seed=seed, patience=patience, checkpoint=path)

    def _record(self, report: training.Report) -> None:
        if not report.end_of_epoch:
            return
        self.history_ = list(report.history)
        if self.verbose:
            print(" ".join(f"{name} {value:.4g}" for name, value in self.history_[-1].items() if value is not None))  # noqa: T201

    def _lstm(self, input_size: int) -> LSTM:
        """The LSTM stack that the parameters describe; its outputs are `_output_size` wide."""
        options = dict(self.lstm_options or {})
        _check_lstm_options(options)
        between = self.dropout if self.num_layers > 1 else 0.0
        return LSTM(
            input_size,
            self.hidden_size,
            self.num_layers,
            dropout=between,
            bidirectional=self._setting("bidirectional"),
            cell=self.cell,
            **options,
        )

    @final
    def _infer(self, batches: Batches) -> list[Tensor]:
        """Outputs of the network on each batch, in order.

        On the CPU the network computes in float64 here: in float32 the last digits of a row depend on which
        other rows share its batch, because matrix products are blocked by size.
        """
        network, (device, dtype) = self._inferring()
        with torch.inference_mode():
            return [network(batch.to(device, dtype)).cpu() for batch in batches.epoch(0)]

    def _inferring(self) -> tuple[Any, tuple[torch.device, torch.dtype]]:
        """The network as it answers, and where and in what it computes."""
        check_is_fitted(self, "network_")
        device = torch.device(self.device)
        dtype = torch.float64 if device.type == "cpu" else torch.float32
        return as_dtype(self.network_, dtype), (device, dtype)

    def __getstate__(self) -> dict[str, Any]:
        """For joblib and copies: the network goes as plain arrays, so that no device comes along."""
        inherited: Any = super().__getstate__()
        state: dict[str, Any] = dict(inherited)
        state.pop("_online", None)
        if (network := state.pop("network_", None)) is not None:
            state["_weights"] = {name: value.cpu().numpy() for name, value in network.state_dict().items()}
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        weights = state.pop("_weights", None)
        super().__setstate__(state)
        if weights is not None:
            with torch.device("meta"):
                network = self._furnished()
            network.load_state_dict({name: torch.tensor(value) for name, value in weights.items()}, assign=True)
            self.network_ = network.to(self.device).eval()

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "network_")

    @final
    def save(self, directory: str | PathLike[str]) -> None:
        """Write the fitted estimator to a directory, atomically: safetensors and JSON, no pickle."""
        from carousel.tasks.persistence import save

        save(self, directory)

    @classmethod
    def load(cls, directory: str | PathLike[str]) -> Self:
        """Read an estimator of this class back; ValueError says what is wrong with the directory."""
        from carousel.tasks.persistence import load

        estimator = load(directory)
        if not isinstance(estimator, cls):
            raise ValueError(f"{directory} holds a {type(estimator).__name__}, not a {cls.__name__}")
        return estimator


def _check_lstm_options(options: dict[str, Any]) -> None:
    """Raise for a keyword that the estimator sets by itself, or that carousel.LSTM does not have."""
    if taken := sorted(_OWN_FIELDS & options.keys()):
        raise ValueError(
            f"lstm_options names {', '.join(taken)}, which the estimator sets by itself; use its own parameters"
        )
    known = [name for name in inspect.signature(LSTM).parameters if name not in _OWN_FIELDS]
    if unknown := sorted(options.keys() - known):
        raise TypeError(
            f"lstm_options has {unknown[0]!r}, which carousel.LSTM does not take; it takes {', '.join(known)}"
        )
