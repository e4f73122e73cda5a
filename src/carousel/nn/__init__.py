"""Cells with weights: torch modules."""

from carousel.nn.cell import LSTMCell
from carousel.nn.feedback import FeedbackLSTM
from carousel.nn.outputs import last_output
from carousel.nn.regularization import Dropout
from carousel.nn.stack import LSTM
from carousel.nn.support_vectors import SupportVectors

__all__ = ["LSTM", "Dropout", "FeedbackLSTM", "LSTMCell", "SupportVectors", "last_output"]
