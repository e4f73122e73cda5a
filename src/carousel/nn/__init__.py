"""Cells with weights: torch modules."""

from carousel.nn.cell import LSTMCell
from carousel.nn.outputs import last_output
from carousel.nn.regularization import Dropout
from carousel.nn.stack import LSTM

__all__ = ["LSTM", "Dropout", "LSTMCell", "last_output"]
