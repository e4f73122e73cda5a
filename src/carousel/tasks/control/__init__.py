"""Acting: an LSTM that learns from rewards in environments of gymnasium."""

from carousel.tasks.control.estimator import Controller
from carousel.tasks.control.evaluation import Returns

__all__ = ["Controller", "Returns"]
