"""A run's random numbers, kept apart from the caller's."""

from typing import Self

import torch
from torch import Tensor


class Randomness:
    """torch's random state of one run: in force inside `with`, set aside outside, where the caller's own is in force.

    Covers torch's default generators of the CPU and of the run's device.
    """

    def __init__(self, device: torch.device, seed: int) -> None:
        self._device = device
        kinds = {"cpu": torch.device("cpu"), device.type: device}
        self.state = {kind: torch.Generator(place).manual_seed(seed).get_state() for kind, place in kinds.items()}

    def __enter__(self) -> Self:
        self._callers = self._read()
        self._write(self.state)
        return self

    def __exit__(self, *_: object) -> None:
        self.state = self._read()
        self._write(self._callers)

    def _read(self) -> dict[str, Tensor]:
        state = {"cpu": torch.get_rng_state()}
        if self._device.type != "cpu":
            module = torch.get_device_module(self._device)
            state[self._device.type] = module.get_rng_state(*self._where())
        return state

    def _write(self, state: dict[str, Tensor]) -> None:
        torch.set_rng_state(state["cpu"])
        if self._device.type != "cpu":
            torch.get_device_module(self._device).set_rng_state(state[self._device.type], *self._where())

    def _where(self) -> tuple[torch.device, ...]:
        """The device, where the backend can have several."""
        return () if self._device.type == "mps" else (self._device,)
