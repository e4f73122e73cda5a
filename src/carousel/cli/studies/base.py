"""An estimator with the data of one run: what it learns from, what is held out, and what is found there."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from carousel.report import Results
from carousel.tasks import SequenceEstimator
from carousel.training import Report


class Study(ABC):
    """An estimator, its data read and split, and the findings of the held-out part.

    columns: a dataclass whose fields say how a file is read; they are options of the command line.
    needs_data: whether `evaluate` must be given a file.
    estimator: the one that is fitted, a `SequenceEstimator`.
    """

    columns: ClassVar[type]
    needs_data: ClassVar[bool] = True
    estimator: Any

    @abstractmethod
    def __init__(self, estimator: SequenceEstimator, columns: Any, seed: int) -> None:
        """Read and split the data. Raises DataError for data that cannot be used."""

    @abstractmethod
    def fit_reports(self, checkpoint: Path) -> Iterator[Report]:
        """Check the data, and return a generator of reports that trains as it is consumed."""

    @abstractmethod
    def results(self) -> Results:
        """The scores of the fitted model and of the baselines on the held-out part."""

    @abstractmethod
    def findings(self) -> dict[str, Any]:
        """The fields of `report.Findings` that this kind of task fills, beside its results."""

    @classmethod
    @abstractmethod
    def predictions(cls, estimator: Any, columns: Any, path: Path) -> dict[str, Any]:
        """What the estimator says of a file: columns of a table, by name."""

    @classmethod
    @abstractmethod
    def evaluation(cls, estimator: Any, columns: Any, path: Path | None) -> Results:
        """The scores of the estimator on a file; None where it needs none."""
