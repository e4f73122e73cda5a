"""How it learns: a method improves a model on a batch, and the loop reports after each."""

from carousel.training.bptt import BPTT
from carousel.training.checkpoint import CheckpointError
from carousel.training.evolution import Evolution
from carousel.training.fit import fit
from carousel.training.method import METHODS, DivergenceError, Method, Model, method_named
from carousel.training.plan import Plan, Report
from carousel.training.validation import validation_loss

__all__ = [
    "BPTT",
    "METHODS",
    "CheckpointError",
    "DivergenceError",
    "Evolution",
    "Method",
    "Model",
    "Plan",
    "Report",
    "fit",
    "method_named",
    "validation_loss",
]
