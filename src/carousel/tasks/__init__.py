"""What an LSTM answers: estimators with fit, predict and score."""

from carousel.tasks.base import Material, SequenceEstimator
from carousel.tasks.baselines import baseline_scores
from carousel.tasks.classification import SequenceClassifier
from carousel.tasks.forecasting import Backtest, Forecast, Forecaster
from carousel.tasks.labelling import SequenceLabeler
from carousel.tasks.persistence import ModelFileError, load, save
from carousel.tasks.registry import ESTIMATORS, TASKS
from carousel.tasks.regression import SequenceRegressor

__all__ = [
    "ESTIMATORS",
    "TASKS",
    "Backtest",
    "Forecast",
    "Forecaster",
    "Material",
    "ModelFileError",
    "SequenceClassifier",
    "SequenceEstimator",
    "SequenceLabeler",
    "SequenceRegressor",
    "baseline_scores",
    "load",
    "save",
]
