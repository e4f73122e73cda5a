"""Studies: for each kind of estimator, how its files are read and what is found on its held-out part."""

from carousel.cli.studies.base import Study
from carousel.cli.studies.control import ControlStudy
from carousel.cli.studies.forecasting import ForecastStudy
from carousel.cli.studies.spotting import SpottingStudy
from carousel.cli.studies.supervised import SupervisedStudy
from carousel.cli.studies.transcription import TranscriptionStudy
from carousel.tasks import Controller, Forecaster, KeywordSpotter, SequenceEstimator, Transcriber
from carousel.tasks.supervised import SupervisedEstimator

STUDIES: dict[type[SequenceEstimator], type[Study]] = {
    KeywordSpotter: SpottingStudy,
    Transcriber: TranscriptionStudy,
    SupervisedEstimator: SupervisedStudy,
    Forecaster: ForecastStudy,
    Controller: ControlStudy,
}


def study_of(kind: type[SequenceEstimator]) -> type[Study]:
    """The study of an estimator's class."""
    return next(study for base, study in STUDIES.items() if issubclass(kind, base))


__all__ = ["STUDIES", "Study", "study_of"]
