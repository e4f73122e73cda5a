"""How nets that learn step by step are estimated by a Kalman filter: which weights together, with how much noise."""

from dataclasses import dataclass

import torch
from torch import Tensor

from carousel.cells import layout
from carousel.ops.filter_noise import FilterNoise
from carousel.ops.online import OnlineNet

GROUPS = ("unit", "layer", "global")


ANNEALING_UPDATES = 10000


@dataclass(kw_only=True)
class OnlineFilter(FilterNoise):
    """The decoupled extended Kalman filter: an update at each step that has a target and is marked for one.

    groups: weights that share a covariance matrix: "unit" (all weights into one unit), "layer" (the recurrent layer,
        the readout), or "global".
    The other options are those of `FilterNoise`; a stream plans no updates, so None for `annealing_updates` means
    `ANNEALING_UPDATES` here.

    Raises ValueError for an option outside its range.
    Source: Puskorius & Feldkamp 1994; Perez-Ortiz, Gers, Eck & Schmidhuber 2003.
    """

    groups: str = "unit"

    def __post_init__(self) -> None:
        if self.groups not in GROUPS:
            raise ValueError(f"groups is {self.groups!r}; it can be {', '.join(GROUPS)}")
        super().__post_init__()

    @property
    def begins(self) -> tuple[float, float, float]:
        """What changes from update to update: noise of measurements, of the process, and updates until the last."""
        return self.measurement_noise, self.process_noise, float(self.updates)

    @property
    def updates(self) -> int:
        """Updates until the noise is at its last."""
        return self.annealing_updates or ANNEALING_UPDATES

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
