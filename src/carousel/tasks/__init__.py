"""What an LSTM answers: estimators with fit, predict and score."""

from carousel.tasks.base import Material, SequenceEstimator
from carousel.tasks.baselines import baseline_scores
from carousel.tasks.classification import SequenceClassifier
from carousel.tasks.control import Controller, Returns
from carousel.tasks.forecasting import Backtest, Forecast, Forecaster
from carousel.tasks.labelling import SequenceLabeler
from carousel.tasks.persistence import ModelFileError, load, save
from carousel.tasks.registry import ESTIMATORS, TASKS
from carousel.tasks.regression import SequenceRegressor
from carousel.tasks.speakers import SpeakerWarning
from carousel.tasks.spotting import Detection, KeywordSpotter, spot_keywords
from carousel.tasks.streaming import PartialTranscription, TranscriptionStream
from carousel.tasks.transcription import Transcriber
from carousel.tasks.transcripts import TimedSymbol, Transcription

__all__ = [
    "ESTIMATORS",
    "TASKS",
    "Backtest",
    "Controller",
    "Detection",
    "Forecast",
    "Forecaster",
    "KeywordSpotter",
    "Material",
    "ModelFileError",
    "PartialTranscription",
    "Returns",
    "SequenceClassifier",
    "SequenceEstimator",
    "SequenceLabeler",
    "SequenceRegressor",
    "SpeakerWarning",
    "TimedSymbol",
    "Transcriber",
    "Transcription",
    "TranscriptionStream",
    "baseline_scores",
    "load",
    "save",
    "spot_keywords",
]
