"""The nets of the counting languages, by the online protocol of the papers and by backpropagation, and their tests."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from carousel import LSTM, Cell, Gate
from carousel.data.synthetic.counting import CountingLanguage, accepted
from carousel.data.synthetic.strings import Strings
from carousel.training import OnlineLearner, OnlineNet

CELL = Cell(
    Gate(peephole="previous"),
    Gate(peephole="previous"),
    Gate("g1997"),
    Gate(peephole="current"),
    squash="identity",
    source="gers2001",
)
"""Peepholes, forget gates, g from -2 to 2, and h the identity."""
BIASES = {"input": -1.0, "forget": 2.0, "output": -2.0}
STEPS_AT_ONCE = 20000
Answers = Callable[[Strings], Tensor]
Settings = dict[str, Any]


def online_net(language: CountingLanguage) -> OnlineNet:
    """The net of the paper: a block of one cell for one count and one order, two where there is more to know."""
    blocks = 1 if len(language.letters) == 2 else 2
    return OnlineNet(CELL, language.symbols, blocks, language.symbols, squash="g1997", shortcut=True)


def online(language: CountingLanguage, *, seed: int, spread: float, **how: Any) -> OnlineLearner:
    """Nets that learn step by step, from weights within the spread but for the gates' biases."""
    net = online_net(language)
    learner = OnlineLearner(net=net, seed=seed, spread=spread, **how)
    for gate, bias in BIASES.items():
        learner.set_bias(gate, [bias] * net.hidden)
    return learner


def signed(one_hot: Tensor) -> Tensor:
    """1 where there is one, -1 elsewhere: inputs and targets as the paper has them."""
    return 2 * one_hot - 1


def taught(nets: OnlineLearner, strings: Strings, update: Tensor) -> Tensor:
    """Learn from strings, with updates at these steps; the outputs."""
    inputs = signed(strings.numbers(nets.net.inputs))
    return nets.learn(inputs, signed(strings.targets), begins=strings.begins, update=update)


def answers(nets: OnlineLearner) -> Answers:
    """What nets answer to strings (time, nets, symbols)."""
    return lambda strings: nets.predict(signed(strings.numbers(nets.net.inputs)), begins=strings.begins)


@dataclass(frozen=True, kw_only=True)
class Course:
    """What nets are taught: strings up to `most`, `chunk` of them between two tests, until all nets accept the training
    set or `limit` strings are over, and `later` strings at least. `reach`: the greatest number that is tested.

    `every_step`: learn after each step, not after each string.
    """

    most: int
    chunk: int
    limit: int
    later: int
    reach: int
    seed: int
    every_step: bool = False


def course(nets: OnlineLearner, language: CountingLanguage, how: Course) -> dict[str, Any]:
    """For each net the strings until it accepts all of the training set (0: never), and its reach then and later.

    A net that never accepts all has no reach.
    """
    numbers = training_numbers(language, how.most)
    every = language.strings(numbers)
    generator = torch.Generator().manual_seed(how.seed)
    done, reached, later = ([0] * nets.nets for _ in range(3))
    seen = 0
    while seen < how.later or (seen < how.limit and not all(done)):
        strings = language.strings(numbers[torch.randint(len(numbers), (how.chunk,), generator=generator)])
        taught(nets, strings, strings.observed if how.every_step else strings.ends)
        seen += how.chunk
        new = [] if all(done) else _accepting(nets, every, done)
        for net, far in reach(answers(nets), language, how.reach, only=new).items() if new else ():
            done[net], reached[net] = seen, far
        if seen == how.later:
            found = reach(answers(nets), language, how.reach, only=range(nets.nets))
            later = [found[net] for net in range(nets.nets)]
    return {"done": done, "reach": reached, "later": later}


def _accepting(nets: OnlineLearner, every: Strings, done: list[int]) -> list[int]:
    """The nets that accept all for the first time."""
    right = accepted(every, answers(nets)(every)).all(0).tolist()
    return [net for net, before in enumerate(done) if right[net] and not before]


def training_numbers(language: CountingLanguage, most: int) -> Tensor:
    """All strings in which no number, or where there are two their sum, is greater than `most`."""
    numbers = language.all(most)
    return numbers[numbers.sum(1) <= most]


def reach(answer: Answers, language: CountingLanguage, most: int, only: Sequence[int] = (0,)) -> dict[int, int]:
    """For each of `only` these nets the greatest number up to which it accepts every string, `most` at most."""
    found = dict.fromkeys(only, 0)
    alive = {*only}
    for numbers, sizes in _growing(language, most):
        strings = language.strings(numbers)
        right = accepted(strings, answer(strings))
        for size in sizes.unique().tolist():
            alive &= {net for net in alive if right[sizes == size, net].all()}
            found |= dict.fromkeys(alive, size)
        if not alive:
            break
    return found


def _growing(language: CountingLanguage, most: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The numbers of all strings, the smallest first, some at a time; and the greatest number of each string."""
    start = 1
    while start <= most:
        end = start + 1
        while end <= most and _cost(language, start, end) < STEPS_AT_ONCE:
            end += 1
        numbers = language.all(end - 1)
        sizes = numbers.amax(1)
        yield numbers[sizes >= start], sizes[sizes >= start]
        start = end


def _cost(language: CountingLanguage, start: int, end: int) -> int:
    """About how many steps the strings take whose greatest number is from start to end."""
    strings = (end + 1) ** language.free - start**language.free
    return strings * end * len(language.letters)


class Backpropagated(nn.Module):
    """The net of the paper, or an Elman net with the same inputs and outputs, for backpropagation through time."""

    def __init__(self, language: CountingLanguage, *, seed: int, spread: float, elman: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.language = language
        symbols, net = language.symbols, online_net(language)
        self.hidden = elman or net.hidden
        self.recurrent = nn.RNN(symbols, elman) if elman else LSTM(symbols, self.hidden, cell=CELL)
        self.readout = nn.Linear(self.hidden + (0 if elman else symbols), symbols)
        if not elman:
            self._begin_as(online(language, seed=seed, spread=spread))

    def forward(self, strings: Strings) -> Tensor:
        """Outputs (time, 1, symbols), as those of one online net."""
        x = signed(strings.rows(strings.numbers(self.language.symbols))).float()
        h, _ = self.recurrent(x)
        read = h if isinstance(self.recurrent, nn.RNN) else torch.cat([h, x], dim=2)
        y = 4 * torch.sigmoid(self.readout(read)) - 2
        return torch.cat([row[:length] for row, length in zip(y.unbind(1), strings.lengths, strict=True)]).unsqueeze(1)

    def _begin_as(self, learner: OnlineLearner) -> None:
        """Take the weights of one online net."""
        W, p, readout = (learner.weights[name][0].float() for name in ("W", "p", "readout"))
        symbols, read = self.language.symbols, self.hidden
        named = dict(self.recurrent.named_parameters())
        parts = {"weight_ih_l0": W[:, :symbols], "weight_hh_l0": W[:, symbols:-1], "bias_ih_l0": W[:, -1]}
        with torch.no_grad():
            for name, value in {**parts, "weight_ch_l0": p, "bias_hh_l0": torch.zeros(len(W))}.items():
                named[name].copy_(value)
            self.readout.weight.copy_(readout[:, : read + symbols])
            self.readout.bias.copy_(readout[:, -1])


def backpropagated(net: Backpropagated, most: int, settings: Settings) -> dict[str, Any]:
    """Adam on all strings at once, until they are all accepted: sequences until then (0: never), and the reach."""
    language = net.language
    numbers = training_numbers(language, most)
    strings = language.strings(numbers)
    wanted = signed(strings.targets).float()
    adam = torch.optim.Adam(net.parameters(), lr=settings["adam_rate"])
    for update in range(1, settings["adam_updates"] + 1):
        adam.zero_grad()
        outputs = net(strings)
        if bool(accepted(strings, outputs.detach()).all()):
            with torch.no_grad():
                return {"done": [(update - 1) * len(numbers)], "reach": [reach(net, language, settings["reach"])[0]]}
        (outputs - wanted).square().mean().backward()
        adam.step()
    return {"done": [0], "reach": [0]}
