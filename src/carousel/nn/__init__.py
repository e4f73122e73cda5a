"""Cells with weights: torch modules."""

from carousel.nn.cell import LSTMCell
from carousel.nn.heads import CTC, InfeasibleError, NextLabel, Prediction, Transducer, pad_labels
from carousel.nn.noise import weight_noise
from carousel.nn.outputs import last_output
from carousel.nn.regularization import Dropout
from carousel.nn.stack import LSTM

__all__ = [
    "CTC",
    "LSTM",
    "Dropout",
    "InfeasibleError",
    "LSTMCell",
    "NextLabel",
    "Prediction",
    "Transducer",
    "last_output",
    "pad_labels",
    "weight_noise",
]
