"""Learning call by call: what stays between two calls of `partial_fit`."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from carousel.data import Batch
from carousel.ops.online_filter import ANNEALING_UPDATES
from carousel.training import Method
from carousel.training.randomness import Randomness
from carousel.training.validation import placement


class Online:
    """A network, its method with the state of the optimizer and of the streams, and its own random numbers.

    Nobody knows how many calls will come: what a method spreads over its updates (warm-up, the annealing of noise) is
    spread over `ANNEALING_UPDATES`, as in an `OnlineLearner`.
    """

    def __init__(self, network: Any, method: Method, seed: int) -> None:
        self.network, self.method = network, method
        self.device, self.dtype = placement(network)
        self.randomness = Randomness(self.device, seed)
        self.lanes: int | None = None
        with self.randomness:
            method.prepare(network, 1, ANNEALING_UPDATES)

    def learn(self, batch: Batch, reset: Any = False) -> float:
        """One update; the loss before it. Batches with step targets are the next steps of the same lanes.

        Raises ValueError for another number of lanes, unless all begin anew.
        """
        if batch.step_targets:
            batch = self._go_on(batch, reset)
        self.network.train()
        try:
            with self.randomness:
                return self.method.update(self.network, batch.to(self.device, self.dtype))
        finally:
            self.network.eval()

    def _go_on(self, batch: Batch, reset: Any) -> Batch:
        lanes = batch.inputs.shape[1]
        given = np.asarray(reset, dtype=bool)
        if given.shape not in ((), (lanes,)):
            raise ValueError(
                f"reset has shape {given.shape}; give True, False, or one of them for each of {lanes} series"
            )
        anew = np.broadcast_to(given, lanes)
        if anew.all():
            self.method.end_epoch(self.network)
        elif self.lanes not in (None, lanes):
            raise ValueError(
                f"X has {lanes} series, but {self.lanes} are being read; give the same ones in the same order, or "
                "reset=True to begin anew"
            )
        self.lanes = lanes
        flags = torch.zeros(batch.inputs.shape[:2], dtype=torch.bool)
        flags[0] = torch.from_numpy(anew.copy())
        return replace(batch, reset=flags)
