"""Bits to be stored and recalled: as many as one likes, over as long a gap."""

import torch
from torch import Tensor

from carousel.data.synthetic.strings import Strings, foretold

BLANK, CUE, SYMBOLS = 2, 3, 4
"""Symbols beside the bits 0 and 1, and how many there are."""


def recall(bits: Tensor, gap: int) -> Strings:
    """Strings of bits, `gap` blanks, a cue, and the same bits again, which are foretold, each after those before it.

    bits: int64 (strings, bits). The targets are the next symbol; steps after which a bit is recalled are `observed`.
    """
    count, width = bits.shape
    middle = torch.tensor([BLANK] * gap + [CUE]).expand(count, -1)
    whole = torch.cat([bits, middle, bits], dim=1)
    found = foretold(whole.flatten(), torch.full((count,), whole.shape[1]), SYMBOLS)
    recalled = torch.arange(whole.shape[1] - 1) >= width + gap
    return Strings(found.inputs, found.targets, found.begins, found.ends, recalled.repeat(count).unsqueeze(1))
