"""Cells with weights: torch modules."""

from carousel.nn.cell import LSTMCell
from carousel.nn.feedback import FeedbackLSTM
from carousel.nn.heads import CTC, InfeasibleError, NextLabel, Prediction, Transducer, pad_labels
from carousel.nn.noise import weight_noise
from carousel.nn.outputs import last_output
from carousel.nn.regularization import Dropout
from carousel.nn.stack import LSTM
from carousel.nn.support_vectors import SupportVectors

__all__ = [
    "CTC",
    "LSTM",
    "Dropout",
    "FeedbackLSTM",
    "InfeasibleError",
    "LSTMCell",
    "NextLabel",
    "Prediction",
    "SupportVectors",
    "Transducer",
    "last_output",
    "pad_labels",
    "weight_noise",
]
