"""The same programs run directly, in plain Python: what the compiled ones are held to."""

from collections.abc import Iterator, Sequence

from papers.siegelmann1995.programs import Machine


def rule110(tape: Sequence[int], steps: int) -> Iterator[list[int]]:
    """The tape after each step, by the rule's number: bit 4l + 2c + r of 110."""
    row = list(tape)
    for _ in range(steps):
        left, right = [row[-1], *row[:-1]], [*row[1:], row[0]]
        row = [110 >> (4 * l + 2 * c + r) & 1 for l, c, r in zip(left, row, right, strict=True)]  # noqa: E741
        yield row


def automaton(table: Sequence[Sequence[int]], word: Sequence[int]) -> Iterator[tuple[int, int]]:
    """For each letter the state that read it, and the letter."""
    state = 0
    for letter in word:
        yield state, letter
        state = table[state][letter]


def turing(machine: Machine, tape: Sequence[int], head: int, steps: int) -> Iterator[tuple[list[int], int, str]]:
    """Tape, head and state after each step; a head that leaves the tape stays outside."""
    row, state = list(tape), machine.begin
    for _ in range(steps):
        if 0 <= head < len(row):
            state, row[head], move = machine.move(state, row[head])
            head += move
        yield list(row), head, state
