"""Trials of nets that learn step by step: runs of right answers, each until the first wrong one."""

from dataclasses import dataclass

import torch
from torch import Tensor

from carousel.ops.online import RESET, START, TARGET, OnlineTrials

ON, RIGHT, PACE = range(3)
"""What is kept of a net's trial: whether one is on, its right answers, the step size that is left."""


@dataclass
class Attempts:
    """The trials of one call in plain torch; `memory` (nets, 3) lasts from call to call."""

    how: OnlineTrials
    memory: Tensor
    rate: Tensor

    def __post_init__(self) -> None:
        self.lengths = torch.full((len(self.memory), self.how.most), -1, dtype=torch.int64)
        self._ended = torch.zeros(len(self.memory), dtype=torch.int64)
        self._may = self._ended < self.how.most

    @property
    def pace(self) -> Tensor:
        """The step size of each net (nets,)."""
        return self.memory[:, PACE]

    @property
    def waits(self) -> Tensor:
        """Which nets have no trial on, (nets,)."""
        return self.memory[:, ON] == 0

    def begin(self, flags: Tensor) -> Tensor:
        """Nets that wait begin where they may: what happens to each net now, (nets,); others that wait keep nothing."""
        begins = ((flags & START) != 0) & self.waits & self._may
        self.memory[begins, ON], self.memory[begins, RIGHT] = 1.0, 0.0
        self.memory[:, PACE] = torch.where(begins, self.rate, self.pace)
        flags = torch.where(begins, flags | RESET, flags)
        return torch.where(self.waits, RESET, flags)

    def fade(self, now: Tensor) -> None:
        """These nets have learned something."""
        self.memory[:, PACE] = torch.where(now, self.pace * self.how.fading, self.pace)

    def end(self, outputs: Tensor, targets: Tensor, flags: Tensor) -> None:
        """Count right answers (nets, outputs), and end trials with a wrong answer or enough right ones."""
        judged = (flags & TARGET) != 0
        right = judged & ((outputs - targets).abs() < self.how.tolerance.unsqueeze(1)).all(1)
        self.memory[:, RIGHT] += right
        over = judged & (~right | (self.memory[:, RIGHT] >= self.how.longest))
        for net in over.nonzero().flatten().tolist():
            length = int(self.memory[net, RIGHT])
            self.lengths[net, self._ended[net]] = length
            self._ended[net] += 1
            self.memory[net, ON] = 0
            self._may[net] = bool(self._ended[net] < self.how.most) and length < self.how.enough
