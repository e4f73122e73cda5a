"""Output layers with their losses, for sequences of labels that nobody has aligned with the inputs."""

from carousel.nn.heads.ctc import CTC
from carousel.nn.heads.labels import InfeasibleError, pad_labels
from carousel.nn.heads.prediction import NextLabel, Prediction
from carousel.nn.heads.transducer import Transducer

__all__ = ["CTC", "InfeasibleError", "NextLabel", "Prediction", "Transducer", "pad_labels"]
