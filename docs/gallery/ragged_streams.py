"""Sequences of different lengths, sequences that begin anew in mid-stream, and streams that never end.

Three ways to say the same thing, and each time the check that nothing leaks: from padding, from a neighbour in the
stream, or from the border between two chunks.
"""

import torch

import carousel
from carousel.nn import last_output


def ragged(lstm: carousel.LSTM, lengths: list[int]) -> None:
    """A padded batch gives what each sequence gives alone; padding may hold anything."""
    x = torch.randn(max(lengths), len(lengths), lstm.input_size)
    for column, length in enumerate(lengths):
        x[length:, column] = torch.nan
    out, _ = lstm(x, lengths=lengths)
    alone = [lstm(x[:length, column])[0] for column, length in enumerate(lengths)]
    gaps = [(out[: len(each), column] - each).abs().max() for column, each in enumerate(alone) if len(each)]
    print(f"lengths {lengths}, NaN behind each end: padded and alone differ by {max(gaps):.0e}")
    assert max(gaps) < 1e-5

    last = last_output(out, torch.tensor(lengths), bidirectional=True)
    print(
        f"the last outputs, both directions joined: {tuple(last.shape)}; that of no steps is {last[2].abs().sum():.0f}"
    )


def packed_episodes(lstm: carousel.LSTM) -> None:
    """Three sequences one after the other in one column; `reset` marks where each begins."""
    episodes = [torch.randn(length, 1, lstm.input_size) for length in (4, 7, 5)]
    starts = torch.zeros(16, 1, dtype=torch.bool)
    starts[[0, 4, 11]] = True
    out, _ = lstm(torch.cat(episodes), reset=starts)
    apart = torch.cat([lstm(episode)[0] for episode in episodes])
    gap = (out - apart).abs().max()
    print(f"three episodes in one stream, and apart: they differ by {gap:.0e}")
    assert gap < 1e-5


def streamed(lstm: carousel.LSTM) -> None:
    """A long recording in chunks of any size, with the state carried over."""
    recording = torch.randn(1000, 1, lstm.input_size)
    state, parts = None, []
    for chunk in recording.split([1, 99, 400, 500]):
        out, state = lstm(chunk, state)
        parts.append(out)
    whole, _ = lstm(recording)
    gap = (torch.cat(parts) - whole).abs().max()
    print(f"1000 steps in four chunks, and at once: they differ by {gap:.0e}")
    assert gap < 1e-5


@torch.no_grad()
def main() -> None:
    torch.manual_seed(0)
    ragged(carousel.LSTM(3, 8, bidirectional=True), [5, 12, 0, 9])
    packed_episodes(carousel.LSTM(3, 8, cell="peephole"))
    streamed(carousel.LSTM(3, 8, num_layers=2, cell="coupled"))


if __name__ == "__main__":
    main()
