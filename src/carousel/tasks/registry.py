"""The estimators by name: a closed list, for the command line and for loading."""

from carousel.tasks.base import SequenceEstimator
from carousel.tasks.classification import SequenceClassifier
from carousel.tasks.control import Controller
from carousel.tasks.forecasting import Forecaster
from carousel.tasks.labelling import SequenceLabeler
from carousel.tasks.regression import SequenceRegressor
from carousel.tasks.spotting import KeywordSpotter
from carousel.tasks.transcription import Transcriber

TASKS: dict[str, type[SequenceEstimator]] = {
    "classify": SequenceClassifier,
    "regress": SequenceRegressor,
    "label": SequenceLabeler,
    "transcribe": Transcriber,
    "spot": KeywordSpotter,
    "forecast": Forecaster,
    "control": Controller,
}
ESTIMATORS = {kind.__name__: kind for kind in TASKS.values()}
