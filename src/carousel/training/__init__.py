"""How it learns: a method improves a model on a batch, and the loop reports after each."""

from carousel.training.bptt import BPTT
from carousel.training.checkpoint import CheckpointError
from carousel.training.fit import fit
from carousel.training.kalman import DEKF
from carousel.training.method import METHODS, DivergenceError, Method, Model, method_named
from carousel.training.plan import Plan, Report
from carousel.training.truncated import TruncatedBPTT
from carousel.training.validation import validation_loss

__all__ = [
    "BPTT",
    "DEKF",
    "METHODS",
    "CheckpointError",
    "DivergenceError",
    "Method",
    "Model",
    "Plan",
    "Report",
    "TruncatedBPTT",
    "fit",
    "method_named",
    "validation_loss",
]
