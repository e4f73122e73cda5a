"""The vocabulary of a cell: frozen dataclasses that check themselves and answer questions."""

from dataclasses import dataclass, field, fields, replace
from typing import Literal

from carousel.cells.squash import SQUASHES

ORDER: tuple[str, ...] = ("input", "forget", "candidate", "output")
SYMBOLS: dict[str, str] = dict(zip(ORDER, "ifzo", strict=True))
NORMS = ("ba2016", "torch_sample")


class CellError(ValueError):
    """A description that is no cell."""


def _one_of(what: str, value: object, choices: tuple[object, ...]) -> None:
    if value not in choices:
        raise CellError(f"{what} is {value!r}; it can be {', '.join(map(repr, choices))}")


@dataclass(frozen=True)
class Gate:
    """A learned gate: squash(W x_t + what recurs + p ⊙ c + b).

    `recurrent` says what the recurrent matrix R reads: the hidden state h_{t-1}, the cell state
    c_{t-1} (the matrix-form peephole), or nothing. `peephole` adds the vector form, on the cell
    state before this step ("previous") or after it ("current", for the output gate alone).
    """

    squash: str = "sigmoid"
    recurrent: Literal["hidden", "cell"] | None = "hidden"
    peephole: Literal["previous", "current"] | None = None

    def __post_init__(self) -> None:
        _one_of("squash", self.squash, tuple(SQUASHES))
        _one_of("recurrent", self.recurrent, ("hidden", "cell", None))
        _one_of("peephole", self.peephole, ("previous", "current", None))


@dataclass(frozen=True)
class Open:
    """A gate that is always one: nothing to learn."""


@dataclass(frozen=True)
class Complement:
    """One minus another gate."""

    of: Literal["input", "forget"]


AnyGate = Gate | Open | Complement


@dataclass(frozen=True)
class Cell:
    """One cell: c_t = f_t ⊙ c_{t-1} + i_t ⊙ z_t, h_t = o_t ⊙ squash(c_t).

    `block` cells share one input, one forget and one output gate (Hochreiter & Schmidhuber 1997).
    With `full_gate_recurrence` the input, forget and output gates also receive the activations that
    all of these had one step before (Greff et al. 2017). `projection` is followed by a matrix of
    fewer rows, which is what recurs (Sak et al. 2014). `norm` names a layer normalisation:
    "ba2016" normalises W x, R h and the cell state on its way to the output (Ba et al. 2016);
    "torch_sample" also keeps the normalised cell state, as PyTorch's sample code does.
    `source` is a key of references.bib.
    """

    input: AnyGate = Gate()
    forget: AnyGate = Gate()
    candidate: Gate = Gate("tanh")
    output: AnyGate = Gate()
    squash: str = "tanh"
    block: int = 1
    full_gate_recurrence: bool = False
    projection: bool = False
    norm: Literal["ba2016", "torch_sample"] | None = None
    source: str = ""

    learned: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """Names of the gates that own weights, in project order."""
    recurrent: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """Names of the learned gates into which the hidden or cell state recurs."""
    reads: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """What R multiplies: "hidden", "cell" (the matrix-form peephole), both, or nothing."""
    peepholes: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """Names of the gates with a vector peephole, in the order i f z o."""
    sending: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """Names of the gates whose last activations recur under full gate recurrence."""
    state: tuple[str, ...] = field(init=False, repr=False, compare=False)
    """Names of the tensors that a step hands to the next one."""

    def __post_init__(self) -> None:
        self._check()
        learned = tuple(name for name in ORDER if isinstance(getattr(self, name), Gate))
        derived = {
            "learned": learned,
            "recurrent": tuple(name for name in learned if self.gate(name).recurrent),
            "reads": tuple(sorted({source for name in learned if (source := self.gate(name).recurrent)})),
            "peepholes": tuple(name for name in learned if self.gate(name).peephole),
            "sending": tuple(name for name in learned if name != "candidate"),
            "state": ("hidden", "cell", "gates") if self.full_gate_recurrence else ("hidden", "cell"),
        }
        for name, value in derived.items():
            object.__setattr__(self, name, value)
        if self.full_gate_recurrence and not self.sending:
            raise CellError("full_gate_recurrence needs at least one learned gate among input, forget and output")
        if self.projection and len(self.reads) > 1:
            raise CellError("a cell whose gates read both h and c cannot have a projection: h and c differ in size")

    def _check(self) -> None:
        for name in ORDER:
            _check_gate(name, getattr(self, name))
        _one_of("squash", self.squash, tuple(SQUASHES))
        _one_of("norm", self.norm, (*NORMS, None))
        for gate in (self.input, self.forget):
            if isinstance(gate, Complement) and not isinstance(getattr(self, gate.of), Gate):
                raise CellError(
                    f"a gate is the complement of {gate.of}, which is not learned: {gate.of} must be a Gate"
                )
        if type(self.block) is not int or self.block < 1:
            raise CellError(f"block is {self.block!r}; it counts the cells that share their gates: 1 or more")

    def gate(self, name: str) -> Gate:
        """The learned gate of that name; CellError if it is open or a complement."""
        gate = getattr(self, name)
        if not isinstance(gate, Gate):
            raise CellError(f"the {name} gate of this cell is {gate}: nothing in it is learned")
        return gate

    @property
    def reads_cell(self) -> bool:
        """Whether R multiplies the cell state anywhere (the matrix-form peephole)."""
        return "cell" in self.reads

    def with_options(self, **changes: object) -> "Cell":
        """The same cell with some fields replaced; unknown names raise CellError."""
        known = {each.name for each in fields(self) if each.init}
        if unknown := set(changes) - known:
            raise CellError(f"a cell has no {sorted(unknown)}; it has {sorted(known)}")
        return replace(self, **changes)  # type: ignore[arg-type]


def _check_gate(name: str, gate: object) -> None:
    if not isinstance(gate, Gate | Open | Complement):
        raise CellError(f"{name} is {gate!r}; a gate is Gate(...), Open() or Complement(of=...)")
    if name == "candidate" and not isinstance(gate, Gate):
        raise CellError(f"candidate is {gate}: it must be a Gate, or nothing would enter the cell")
    if isinstance(gate, Complement):
        partner = {"input": "forget", "forget": "input"}.get(name)
        if gate.of != partner:
            raise CellError(f"{name} is the complement of {gate.of}; only input and forget complement each other")
    if isinstance(gate, Gate) and gate.peephole == "current" and name != "output":
        raise CellError(f"the {name} gate peeps at the current cell state, which it helps to make: only output can")
