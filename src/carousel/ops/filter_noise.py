"""What every Kalman filter of weights is told about uncertainty: how it begins, and how noisy all is from then on."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Variances:
    """At one update: of each measured number, and of what each weight wanders by itself."""

    measurement: float
    process: float


@dataclass(kw_only=True)
class FilterNoise:
    """The options that all filters share, which are dataclasses that inherit from this one.

    initial_covariance: of each weight at the start.
    measurement_noise, final_measurement_noise: variance of each answer, first and last; small numbers learn fast.
    process_noise, final_process_noise: variance that each weight gains in an update, which keeps the filter awake; both
        above 0, or both 0.
    annealing_updates: both go geometrically from first to last over so many updates; None: over all planned ones.

    Raises ValueError for an option outside its range.
    Source: Puskorius & Feldkamp 1994; Perez-Ortiz, Gers, Eck & Schmidhuber 2003, with their noise as defaults.
    """

    initial_covariance: float = 100.0
    measurement_noise: float = 100.0
    final_measurement_noise: float = 3.0
    process_noise: float = 1e-2
    final_process_noise: float = 1e-6
    annealing_updates: int | None = None

    def __post_init__(self) -> None:
        for name in ("initial_covariance", "measurement_noise", "final_measurement_noise"):
            _check(name, getattr(self, name), 0 < getattr(self, name) < math.inf, "a finite number above 0")
        first, last = self.process_noise, self.final_process_noise
        if not (0 < first < math.inf and 0 < last < math.inf) and not first == last == 0:
            raise ValueError(
                f"process_noise goes from {first!r} to {last!r}; both are finite and above 0, or both are 0"
            )
        updates = self.annealing_updates
        whole = updates is None or (isinstance(updates, int) and updates >= 1)
        _check("annealing_updates", updates, whole, "a whole number of at least 1, or None")

    def noise_at(self, progress: float) -> Variances:
        """Both variances when this share of the annealing is over."""
        measurement, process = self._ratios
        return Variances(self.measurement_noise * measurement**progress, self.process_noise * process**progress)

    def factors(self, updates: int) -> tuple[float, float]:
        """What each of so many updates multiplies the noise of measurements and of the process by."""
        measurement, process = self._ratios
        return measurement ** (1 / updates), process ** (1 / updates)

    @property
    def _ratios(self) -> tuple[float, float]:
        """The last of both variances over the first."""
        process = self.final_process_noise / self.process_noise if self.process_noise else 1.0
        return self.final_measurement_noise / self.measurement_noise, process


def _check(name: str, value: object, holds: bool, wanted: str) -> None:
    if not holds:
        raise ValueError(f"{name} is {value!r}; it is {wanted}")
