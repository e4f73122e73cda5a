"""The nets of 1997 as experiment.toml describes them: who learns by the paper's rule, who by Adam, who guesses."""

from functools import partial
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from carousel.cells import Cell, Gate, Open, find
from carousel.data import synthetic
from carousel.data.synthetic import Strings
from carousel.nn import LSTM
from carousel.training import OnlineLearner, OnlineNet

Settings = dict[str, Any]
_ALONE = Gate(recurrent=None)
CELLS = {
    "1997": find("lstm1997"),
    "without output gate": Cell(_ALONE, Open(), Gate("sigmoid", recurrent=None), Open(), squash="identity"),
}
"""The cell of the paper, and that of its experiments 2a and 2b."""


class Draw(Protocol):
    """Draws so many strings of a task."""

    def __call__(self, count: int, generator: torch.Generator) -> Strings:
        """Strings with their targets."""
        ...


class Student(Protocol):
    """Several nets that learn from strings one after another."""

    nets: int

    def learn(self, strings: Strings) -> Tensor:
        """Learn; the outputs (time, nets, outputs), each before what is learned from its string."""
        ...

    def predict(self, strings: Strings) -> Tensor:
        """The outputs (time, nets, outputs)."""
        ...

    def keep(self, nets: list[int]) -> None:
        """Remember these nets as they are now."""
        ...

    def recall(self) -> None:
        """Put back what was remembered."""
        ...


def draw_of(given: Settings, *, training: bool) -> Draw:
    """The generator of an experiment, with what is different in training."""
    options = given.get("given", {}) | (given.get("in_training", {}) if training else {})
    return partial(getattr(synthetic, given["task"]), **options)


def net_of(given: Settings) -> OnlineNet:
    """The net of an experiment; all hidden units, cells and gates, read each other if the cell reads any.

    Without `gates_recur` they read the cells alone.
    """
    cell = CELLS[given.get("cell", "1997")]
    biased = given.get("biased")
    return OnlineNet(
        cell.with_options(block=given.get("block", 1)), given["inputs"], given["cells"], given["outputs"],
        squash=given.get("squash", "sigmoid"), gates_recur=given.get("gates_recur", bool(cell.recurrent)),
        shortcut=given.get("shortcut", False), biased=None if biased is None else tuple(biased),
    )  # fmt: skip


class Online:
    """Nets side by side that learn by the rule of 1997."""

    def __init__(self, given: Settings, nets: int, seed: int) -> None:
        self.nets, self._by_string = nets, given.get("update", "step") == "string"
        self.learner = OnlineLearner(
            net=net_of(given), nets=nets, learning_rate=given["learning_rate"], error=given.get("error", "squared"),
            spread=given["spread"], seed=seed, cells=given.get("cells_first"),
        )  # fmt: skip
        for gate in ("input", "output"):
            if f"{gate}_biases" in given:
                self.learner.set_bias(gate, given[f"{gate}_biases"])
        self._kept = self.learner.weights

    def learn(self, strings: Strings) -> Tensor:
        """Update after each target, or once a string."""
        update = strings.ends if self._by_string else None
        return self.learner.learn(
            strings.inputs, strings.targets, observed=strings.observed, begins=strings.begins, update=update
        )

    def predict(self, strings: Strings) -> Tensor:
        """Nothing is learned."""
        return self.learner.predict(strings.inputs, begins=strings.begins)

    def keep(self, nets: list[int]) -> None:
        """Remember weights."""
        for name, weights in self.learner.weights.items():
            self._kept[name][nets] = weights[nets]

    def recall(self) -> None:
        """Put weights back."""
        self.learner.load(self._kept)

    def grow(self) -> None:
        """One more block, if there is one left."""
        block = self.learner.net.cell.block
        if (self.learner.cells or 0) + block <= self.learner.net.hidden and self.learner.cells is not None:
            self.learner.add_cells(block)


class SymbolLSTM(nn.Module):
    """A layer as it was begun, over symbols: what each of them adds to cells and gates is looked up.

    Of a thousand symbols each step has one; as numbers they would be a thousand products.
    """

    def __init__(self, begun: LSTM) -> None:
        super().__init__()
        self.added = nn.Embedding.from_pretrained(begun.weight_ih_l0.detach().T, freeze=False)
        rows = self.added.embedding_dim
        self.lstm = LSTM(rows, begun.hidden_size, cell=begun.cell)
        self.lstm.load_state_dict(begun.state_dict() | {"weight_ih_l0": torch.eye(rows)})
        self.lstm.weight_ih_l0.requires_grad_(False)

    def forward(self, symbols: Tensor) -> Any:
        """As LSTM; symbols (time, strings)."""
        return self.lstm(self.added(symbols))


class Backwards:
    """One net of the same cells and readout that learns by backpropagation through time and Adam, in batches.

    Its gates do not recur, and its weights begin as torch.nn.LSTM's do. It takes what an experiment says for
    all nets, with what its table `adam` says in place of that.
    """

    def __init__(self, given: Settings, seed: int) -> None:
        torch.manual_seed(seed)
        net = net_of(given)
        self.nets, self.net, self._batch = 1, net, given["batch"]
        self._squared = given.get("answers") == "numbers"
        lstm = LSTM(net.inputs, net.hidden, cell=net.cell)
        self._readout = nn.Linear(net.hidden + net.inputs * net.shortcut, net.outputs)
        self._symbols = draw_of(given, training=False)(1, torch.Generator()).symbolic
        self._lstm = SymbolLSTM(lstm) if self._symbols else lstm
        self._model = nn.ModuleList([self._lstm, self._readout])
        learned = [weights for weights in self._model.parameters() if weights.requires_grad]
        self._adam = torch.optim.Adam(learned, lr=given["learning_rate"])
        self._kept: dict[str, Tensor] = {}

    def learn(self, strings: Strings) -> Tensor:
        """Each string is in one batch."""
        batches = torch.arange(strings.count).split(self._batch)
        return torch.cat([self._improve(strings.chosen(batch)) for batch in batches])

    def _improve(self, strings: Strings) -> Tensor:
        answers, targets = self._answers(strings), strings.rows(strings.targets).float()
        observed = strings.rows(strings.observed.unsqueeze(2))[..., 0]
        loss = F.mse_loss(answers.sigmoid()[observed], targets[observed]) if self._squared else (
            F.binary_cross_entropy_with_logits(answers[observed], targets[observed])
        )  # fmt: skip
        self._adam.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._model.parameters(), 1.0)
        self._adam.step()
        return self._in_a_row(answers.detach(), strings)

    def predict(self, strings: Strings) -> Tensor:
        """Nothing is learned."""
        with torch.no_grad():
            batches = torch.arange(strings.count).split(256)
            return torch.cat([self._in_a_row(self._answers(part), part) for part in map(strings.chosen, batches)])

    def _answers(self, strings: Strings) -> Tensor:
        """Outputs before they are squashed (time, strings, outputs)."""
        inputs = strings.rows(strings.inputs)
        hidden = self._lstm(inputs if self._symbols else inputs.float())[0]
        if self.net.shortcut:
            hidden = torch.cat([hidden, strings.rows(strings.numbers(self.net.inputs)).float()], dim=2)
        return self._readout(hidden)

    def _in_a_row(self, answers: Tensor, strings: Strings) -> Tensor:
        """Outputs (time, 1, outputs) of strings one after another."""
        parts = [
            row[:length] for row, length in zip(answers.sigmoid().unbind(1), strings.lengths.tolist(), strict=True)
        ]
        return torch.cat(parts).double().unsqueeze(1)

    def keep(self, nets: list[int]) -> None:
        """Remember weights."""
        if nets:
            self._kept = {name: value.clone() for name, value in self._model.state_dict().items()}

    def recall(self) -> None:
        """Put weights back."""
        self._model.load_state_dict(self._kept or self._model.state_dict())


def guessed(given: Settings, seed: int) -> dict[str, Any]:
    """Draw nets until one is right on the training strings: how many it took (0: too many), and its wrong answers.

    Most are wrong on the first few strings already; only those that are not see more.
    """
    guess, net = given["guess"], net_of(given)
    draw, generator = draw_of(given, training=False), torch.Generator().manual_seed(seed)
    rounds = [draw(count, generator) for count in (4, 60, 256)]
    for tried in range(0, guess["tries"], guess["at_once"]):
        learner = OnlineLearner(net=net, nets=guess["at_once"], spread=guess["spread"], seed=seed * 100000 + tried)
        left, weights = torch.arange(guess["at_once"]), learner.weights
        for strings in rounds:
            left = left[_right(learner, strings, given["done"]["right"])]
            if not len(left):
                break
            learner = OnlineLearner(net=net, nets=len(left))
            learner.load({name: part[left] for name, part in weights.items()})
        else:
            strings = draw(given["test"], generator)
            wrong = ~_right(learner, strings, given["done"]["right"], each=True)[:, 0]
            return {"tries": tried + int(left[0]) + 1, "wrong": int(wrong.sum())}
    return {"tries": 0, "wrong": given["test"]}


def _right(learner: OnlineLearner, strings: Strings, within: float, *, each: bool = False) -> Tensor:
    """Which nets are right on all strings (nets,); `each`: on which string (strings, nets)."""
    outputs = learner.predict(strings.inputs, begins=strings.begins)
    right = (outputs[strings.last] - strings.targets[strings.last]).abs().amax(2) < within
    return right if each else right.all(0)
