"""The two-sequence problem: signal and noise on one line (Hochreiter & Schmidhuber 1997, experiment 3)."""

import torch

from carousel.data.synthetic.strings import Strings, answered, laid_out, whole

NOISE = 0.2**0.5
"""The deviation of the noise: its variance is 0.2."""
TARGET_NOISE = 0.1**0.5


def two_sequences(
    count: int,
    generator: torch.Generator,
    *,
    least: int = 100,
    informative: int = 3,
    noisy: bool = False,
    targets: tuple[float, float] = (1.0, 0.0),
    target_noise: bool = False,
) -> Strings:
    """`count` strings of `least` to 1.1 `least` numbers: `informative` times 1 (class 1) or -1 (class 2), then noise.

    The noise has variance 0.2, and is on the first numbers too where they are `noisy` (3b and 3c). The target at the
    end is that of the class; 3c takes (0.2, 0.8), and to learn from adds `target_noise` of variance 0.1.
    Source: Hochreiter & Schmidhuber 1997, experiments 3a to 3c.
    """
    lengths = whole(least, least + least // 10, count, generator)
    second = whole(0, 1, count, generator)
    first, _ = laid_out(lengths)
    values = NOISE * torch.randn(int(lengths.sum()), dtype=torch.float64, generator=generator)
    for step in range(informative):
        values[first + step] = (1 - 2 * second).double() + (values[first + step] if noisy else 0)
    answers = torch.tensor(targets, dtype=torch.float64)[second]
    if target_noise:
        answers = answers + TARGET_NOISE * torch.randn(count, dtype=torch.float64, generator=generator)
    return answered(values.reshape(-1, 1, 1), lengths, answers.unsqueeze(1))
