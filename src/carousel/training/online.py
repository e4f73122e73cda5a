"""Learning from streams a step at a time, in memory that does not grow: the protocol of the papers of 1997 to 2003."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from carousel.ops.cpu import extension
from carousel.ops.cpu.online import CompiledOnline
from carousel.ops.influence import RULES
from carousel.ops.online import (
    RESET,
    START,
    TARGET,
    UPDATE,
    OnlineNet,
    OnlineRule,
    OnlineRunner,
    OnlineStream,
    OnlineTrials,
    check_whole,
)
from carousel.ops.online_filter import OnlineFilter
from carousel.ops.online_reference import ReferenceOnline
from carousel.training.online_kalman import FilteredOnline

ERRORS = ("squared", "cross_entropy")
COUNTED = 2**53
"""Right answers are counted up to this: the kernels count in float64."""


@dataclass(frozen=True, kw_only=True)
class Trials:
    """Runs of right answers, as the papers from 2000 on count them: from a start to the first wrong answer.

    tolerance: an answer is right when all outputs are closer to their targets than this.
    longest: a trial ends after so many right answers, too.
    most: so many trials a net has in one call at most, then it waits.
    enough: after a trial of so many right answers, a net waits, too (None: it goes on).
    fading: the learning rate is multiplied by this after each update ("alpha decay"), and whole where a trial begins.

    Raises ValueError for an option outside its range.
    Source: Gers, Schmidhuber & Cummins 2000.
    """

    tolerance: float
    longest: int = 1_000_000
    most: int = 1000
    enough: int | None = None
    fading: float = 1.0

    def __post_init__(self) -> None:
        for name in ("longest", "most", "enough"):
            if name != "enough" or self.enough is not None:
                check_whole(name, getattr(self, name), 1, COUNTED)
        for name in ("tolerance", "fading"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it is more than 0")


@dataclass(kw_only=True, eq=False)
class OnlineLearner:
    """Several independent nets, each of one recurrent layer and a readout, that learn from streams step by step.

    net: what each of them is (`OnlineNet`).
    nets: how many; eight cost about as much as one.
    rule: "rule1997" (the gradient cut at gates and cell inputs) or "rtrl" (the exact one).
    learning_rate, momentum: one number, or one a net; a net with a learning rate of 0 stays as it is.
    error: "squared", half the sum of squares; "cross_entropy" leaves the slope of the outputs out.
    filter: a Kalman filter (`OnlineFilter`) in place of descent; it takes squared errors, and neither learning rate nor
        momentum. It learns at steps that have both a target and an update.
    spread: weights begin uniform in [-spread, spread], biases too; `seed` draws them.
    cells: how many cells take part at first; the others are there when `add_cells` calls them; all if None.

    Streams are (time, nets, ...); an axis of one net is shared by all. What a net begins in one call goes on in the
    next. A net that diverges goes on too, with NaN for outputs. All in float64.

    Raises ValueError for an option outside its range.
    Source: Hochreiter & Schmidhuber 1997; Williams & Zipser 1989.
    """

    net: OnlineNet
    nets: int = 1
    rule: str = "rule1997"
    learning_rate: float | Sequence[float] = 0.1
    momentum: float | Sequence[float] = 0.0
    error: str = "squared"
    filter: OnlineFilter | None = None
    spread: float = 0.1
    seed: int = 0
    cells: int | None = None

    _drawn: Tensor = field(init=False, repr=False)
    _runner: OnlineRunner = field(init=False, repr=False)

    def __post_init__(self) -> None:
        for name, choices in (("rule", RULES), ("error", ERRORS)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it can be {', '.join(choices)}")
        for name, kind in (("net", OnlineNet), ("filter", OnlineFilter | None)):
            if not isinstance(getattr(self, name), kind):
                raise TypeError(f"{name} is {getattr(self, name)!r:.80}; it is an Online{name.capitalize()}")
        check_whole("nets", self.nets, 1)
        if self.cells is not None:
            check_whole("cells", self.cells, 0)
        if not (self.spread >= 0 and math.isfinite(self.spread)):
            raise ValueError(f"spread is {self.spread}; it is a finite number of at least 0")
        if self.filter is not None and self.error != "squared":
            raise ValueError(f"error is {self.error!r}; a Kalman filter takes squared errors")
        if self.filter is not None and self.cells is not None:
            raise ValueError(f"cells is {self.cells}; a Kalman filter estimates all of a net's weights from the start")
        rate, momentum = (self._each(name) for name in ("learning_rate", "momentum"))
        self._check_cells(self._cells)
        generator = torch.Generator().manual_seed(self.seed)
        drawn = torch.rand(self.nets, self.net.weights, dtype=torch.float64, generator=generator)
        self._drawn = self.spread * (2 * drawn - 1) * self.net.present()
        plain = ReferenceOnline if self.filter is None else FilteredOnline
        runner = CompiledOnline if extension.module is not None else plain
        rule = OnlineRule(self.rule, self.error == "cross_entropy", rate, momentum, self.filter)
        self._runner = runner(self.net, rule, self._drawn)
        self._take_part(self.net.hidden)

    @property
    def weights(self) -> dict[str, Tensor]:
        """Copies of the weights by name (nets, rows, columns): W, p and readout, as `OnlineNet.shapes` has them."""
        return self.net.split(self._runner.weights)

    def set_bias(self, gate: str, values: Sequence[float]) -> None:
        """Begin with these biases of a gate, one a unit, in every net: -1, -3, ... keeps blocks shut at first."""
        rows = self.net.rows.get(gate)
        if rows is None or rows.stop - rows.start != len(values):
            units = {name: at.stop - at.start for name, at in self.net.rows.items()}
            raise ValueError(f"{len(values)} biases for the {gate} gate; this net has units {units}")
        weights = self._runner.weights
        for each in (self._drawn, weights):
            self.net.split(each)["W"][:, rows, -1] = torch.tensor(values, dtype=torch.float64)
        self._runner.set_weights(torch.where(self._at_work(), weights, 0))

    def load(self, weights: dict[str, Tensor]) -> None:
        """Go on with these weights, given as `weights` gives them; what the state holds stays."""
        own = self.weights
        if {name: part.shape for name, part in weights.items()} != {name: part.shape for name, part in own.items()}:
            shapes = {name: tuple(part.shape) for name, part in own.items()}
            raise ValueError(f"these weights are not of this net and as many; give float64 tensors of {shapes}")
        joined = torch.cat([weights[name].flatten(1).to(torch.float64) for name in own], dim=1)
        self._runner.set_weights(torch.where(self._at_work(), joined, 0))

    def add_cells(self, count: int) -> None:
        """Let so many more cells take part in every net, with weights as they were drawn; a sequence begins after it.

        A remedy for what the paper calls the abuse problem, that early on cells are used as biases: they are added when
        the error stalls (Hochreiter & Schmidhuber 1997; Fahlman 1991).
        """
        check_whole("count", count, 0)
        self._check_cells(self._cells + count)
        before, self.cells = self._cells, self._cells + count
        self._take_part(before)
        for name, tensor in self._runner.tensors().items():
            if name not in ("weights", "gradient", "velocity"):
                tensor.zero_()

    def learn(
        self,
        inputs: Tensor,
        targets: Tensor,
        *,
        observed: Tensor | None = None,
        begins: Tensor | None = None,
        update: Tensor | None = None,
    ) -> Tensor:
        """Learn from a stream; the outputs (time, nets, outputs), each before what is learned at its step.

        inputs: numbers (time, nets, inputs), or int64 symbols (time, nets): the place of the one input that is 1, and
            -1 where none is.
        targets: (time, nets, outputs).
        observed: booleans (time, nets), the steps with a target; all if None.
        begins: booleans (time, nets), the steps before which the state is put back to zero; none if None.
        update: booleans (time, nets), the steps after which what was learned is applied; those with a target if None.
        """
        self._check_inputs(inputs)
        self._check_targets(targets, len(inputs))
        observed = torch.ones(targets.shape[:2], dtype=torch.bool) if observed is None else observed
        flags = self._flags(inputs, {TARGET: observed, RESET: begins, UPDATE: observed if update is None else update})
        return self._runner.run(self._stream(inputs, targets, flags))

    def attempt(
        self,
        inputs: Tensor,
        targets: Tensor,
        trials: Trials,
        *,
        starts: Tensor,
        observed: Tensor | None = None,
        begins: Tensor | None = None,
        learn: bool = True,
    ) -> list[list[int]]:
        """Go through a stream in trials, learning at every step with a target; of each net, how long each lasted.

        starts: booleans (time, nets), the steps at which the trial of a net that waits may begin, from a state of zero.
        All else is as in `learn`. A trial that is on at the end goes on in the next call, and a net that waits then has
        nothing in mind; without `learn`, nothing but states and trials move.
        """
        self._check_inputs(inputs)
        self._check_targets(targets, len(inputs))
        if not isinstance(trials, Trials):
            raise TypeError(f"trials is {trials!r:.80}; it is Trials, such as Trials(tolerance=0.49)")
        observed = torch.ones(targets.shape[:2], dtype=torch.bool) if observed is None else observed
        flags = self._flags(inputs, {START: starts, TARGET: observed, RESET: begins, UPDATE: observed})
        each = torch.ones(self.nets, dtype=torch.float64)
        enough = trials.longest + 1 if trials.enough is None else trials.enough
        most = min(trials.most, max(len(inputs), 1))
        how = OnlineTrials(trials.tolerance * each, trials.fading * each, trials.longest, most, enough)
        lengths = self._runner.attempt(self._stream(inputs, targets, flags), how, learn=learn)
        return [row[row >= 0].tolist() for row in lengths]

    def renew(self, place: int, net: "OnlineLearner", of: int = 0) -> None:
        """Put a net of another learner in a place, as it is but with nothing in mind; the others go on undisturbed."""
        if not isinstance(net, OnlineLearner):
            raise TypeError(f"net is {net!r:.80}; it is an OnlineLearner")
        check_whole("place", place, 0, self.nets - 1)
        check_whole("of", of, 0, net.nets - 1)
        if net.net != self.net:
            raise ValueError("only a net of the same description can take the place of one")
        if self.filter is not None:
            raise ValueError("a net that a Kalman filter estimates cannot be replaced; begin with another learner")
        self._runner.renew(place, net._runner.weights[of])

    def predict(self, inputs: Tensor, *, begins: Tensor | None = None) -> Tensor:
        """The outputs (time, nets, outputs) for a stream from zeros; nothing is learned, and nothing forgotten."""
        self._check_inputs(inputs)
        targets = torch.zeros(len(inputs), 1, self.net.outputs, dtype=torch.float64)
        stream = self._stream(inputs, targets, self._flags(inputs, {RESET: begins}))
        state = self._runner.tensors()["state"]
        before = state.clone()
        state.zero_()
        outputs = self._runner.run(stream, learn=False)
        state.copy_(before)
        return outputs

    def state(self) -> dict[str, Tensor]:
        """Copies of all that later steps depend on, by name."""
        kept = {name: tensor.clone() for name, tensor in self._runner.tensors().items()}
        kept["nets"] = torch.tensor(self.nets)
        return kept if self.cells is None else kept | {"cells": torch.tensor(self.cells), "drawn": self._drawn.clone()}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from `state()` of a learner with the same options on a machine like this."""
        own = self._runner.tensors()
        state = dict(state)
        if (nets := int(state.pop("nets", -1))) != self.nets:
            raise ValueError(f"this state is of {nets} nets; this learner has {self.nets}")
        if self.cells is not None and {"cells", "drawn"} <= state.keys():
            self.cells, self._drawn = int(state["cells"]), state["drawn"].clone()
            self._take_part(self.cells)
            state = {name: tensor for name, tensor in state.items() if name not in ("cells", "drawn")}
        if {name: tensor.shape for name, tensor in state.items()} != {name: t.shape for name, t in own.items()}:
            raise ValueError("this state is of a learner with other options")
        for name, tensor in own.items():
            tensor.copy_(state[name])

    @property
    def _cells(self) -> int:
        return self.net.hidden if self.cells is None else self.cells

    def _at_work(self) -> Tensor:
        """Which weights there are, and belong to cells that take part: booleans (weights,)."""
        return self.net.present() & (self.net.reach() <= self._cells)

    def _take_part(self, before: int) -> None:
        """Give the cells after so many of them their weights, and let them learn."""
        weights = torch.where(self.net.reach() > before, self._drawn, self._runner.weights)
        self._runner.set_weights(torch.where(self._at_work(), weights, 0))
        self._runner.set_learned(self._at_work() & self.net.learned())

    def _check_cells(self, cells: int) -> None:
        """Raise ValueError unless a net of ours can have so many cells at work."""
        if not 0 <= cells <= self.net.hidden or cells % self.net.cell.block:
            raise ValueError(
                f"{cells} cells are to take part; a net has {self.net.hidden}, in blocks of {self.net.cell.block}"
            )

    def _each(self, name: str) -> Tensor:
        """An option as one number a net."""
        values = torch.as_tensor(getattr(self, name), dtype=torch.float64)
        if values.dim() > 1 or (values.dim() == 1 and len(values) != self.nets) or not bool((values >= 0).all()):
            raise ValueError(f"{name} is {getattr(self, name)!r}; it is a number of at least 0, or one for each net")
        return values.expand(self.nets).contiguous()

    def _flags(self, inputs: Tensor, given: dict[int, Tensor | None]) -> Tensor:
        """Flags (time, nets) from booleans."""
        flags = torch.zeros(len(inputs), self.nets, dtype=torch.uint8)
        for flag, where in given.items():
            if where is not None:
                if not (isinstance(where, Tensor) and where.dtype == torch.bool):
                    kind = where.dtype if isinstance(where, Tensor) else type(where).__name__
                    raise TypeError(f"flags are {kind}; they are tensors of booleans (torch.bool)")
                if where.shape not in ((len(inputs), self.nets), (len(inputs), 1)):
                    raise ValueError(f"flags of shape {tuple(where.shape)}; they are ({len(inputs)}, {self.nets} or 1)")
                flags += flag * where.to(torch.uint8)
        return flags

    def _stream(self, inputs: Tensor, targets: Tensor, flags: Tensor) -> OnlineStream:
        numbers = inputs if inputs.dtype == torch.int64 else inputs.to(torch.float64)
        return OnlineStream(numbers, targets.to(torch.float64), flags)

    def _check_inputs(self, inputs: Tensor) -> None:
        """Raise ValueError unless they have the shape of this net, and symbols are inputs of it."""
        _check_tensor("inputs", inputs)
        axes = 2 if inputs.dtype == torch.int64 else 3
        good = (
            inputs.dim() == axes
            and inputs.shape[1] in (1, self.nets)
            and inputs.shape[2:] == (self.net.inputs,) * (axes - 2)
        )
        if not good:
            raise ValueError(
                f"inputs are {inputs.dtype} of shape {tuple(inputs.shape)}; give numbers (time, {self.nets} or 1, "
                f"{self.net.inputs}) or int64 symbols (time, {self.nets} or 1)"
            )
        if axes == 2 and len(wrong := inputs[(inputs < -1) | (inputs >= self.net.inputs)]):
            raise ValueError(
                f"there is a symbol {wrong[0]}; a net with {self.net.inputs} inputs has symbols from 0 to "
                f"{self.net.inputs - 1}, and -1 stands for none"
            )

    def _check_targets(self, targets: Tensor, time: int) -> None:
        """Raise ValueError unless they have the shape of this net's outputs at so many steps."""
        _check_tensor("targets", targets)
        if (
            targets.dim() != 3
            or targets.shape[0] != time
            or targets.shape[1] not in (1, self.nets)
            or targets.shape[2] != self.net.outputs
        ):
            raise ValueError(
                f"targets have shape {tuple(targets.shape)}; give ({time}, {self.nets} or 1, {self.net.outputs})"
            )


def _check_tensor(name: str, given: object) -> None:
    """Raise TypeError for what is no tensor."""
    if not isinstance(given, Tensor):
        raise TypeError(f"{name} are a {type(given).__name__}; give a tensor, such as torch.as_tensor({name})")
