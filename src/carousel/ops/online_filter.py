"""How nets that learn step by step are estimated by a Kalman filter: which weights together, with how much noise."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from carousel.cells import layout
from carousel.ops.online import OnlineNet

GROUPS = ("unit", "layer", "global")


@dataclass(frozen=True, kw_only=True)
class OnlineFilter:
    """The decoupled extended Kalman filter: an update at each step that has a target and is marked for one.

    groups: weights that share a covariance matrix: "unit" (all weights into one unit), "layer" (the recurrent layer,
        the readout), or "global".
    initial_covariance: of each weight at the start.
    measurement_noise, final_measurement_noise: variance of each output, first and last; small numbers learn fast.
    process_noise, final_process_noise: variance that each weight gains in an update; both 0, or both above.
    annealing: updates over which both go geometrically from first to last.

    Raises ValueError for an option outside its range.
    Source: Puskorius & Feldkamp 1994; Perez-Ortiz, Gers, Eck & Schmidhuber 2003, with their noise as defaults.
    """

    groups: str = "unit"
    initial_covariance: float = 100.0
    measurement_noise: float = 100.0
    final_measurement_noise: float = 3.0
    process_noise: float = 1e-2
    final_process_noise: float = 1e-6
    annealing: int = 10000

    def __post_init__(self) -> None:
        if self.groups not in GROUPS:
            raise ValueError(f"groups is {self.groups!r}; it can be {', '.join(GROUPS)}")
        for name in ("initial_covariance", "measurement_noise", "final_measurement_noise", "annealing"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value > 0):
                raise ValueError(f"{name} is {value!r}; it is a finite number above 0")
        first, last = self.process_noise, self.final_process_noise
        if not (math.isfinite(first + last) and (first > 0 < last or first == last == 0)):
            raise ValueError(f"process_noise goes from {first} to {last}; both are above 0, or both are 0")

    @property
    def noise(self) -> tuple[float, float, float]:
        """What changes from update to update: of measurements, of the process, and updates until the last."""
        return self.measurement_noise, self.process_noise, float(self.annealing)

    @property
    def factors(self) -> tuple[float, float]:
        """What an update multiplies both noises by."""
        power = 1 / self.annealing
        process = (self.final_process_noise / self.process_noise) ** power if self.process_noise else 1.0
        return (self.final_measurement_noise / self.measurement_noise) ** power, process

    def estimates(self, net: OnlineNet) -> list[Tensor]:
        """Positions int64 (size,) of the weights of each group among those of a net, ascending."""
        labels = torch.zeros(1, net.weights, dtype=torch.int64)
        parts, rows = net.split(labels), net.shapes["W"][0]
        if self.groups != "global":
            parts["readout"] += 1
        if self.groups == "unit":
            parts["W"] += torch.arange(rows).unsqueeze(1)
            for place, gate in enumerate(layout.peephole_rows(net.cell)):
                parts["p"][0, place] = net.rows[gate].start + torch.arange(net.hidden) // net.shared(gate)
            parts["readout"] += rows + torch.arange(net.outputs).unsqueeze(1)
        learned = net.learned()
        return [torch.nonzero(learned & (labels[0] == label))[:, 0] for label in labels[0, learned].unique()]
