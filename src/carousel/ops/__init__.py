"""How a cell runs: tensors in, tensors out, no weights kept."""

from carousel.ops.backend import PREFERENCE, Backend, Choice, explain, only
from carousel.ops.operands import Moment, Noise, Operands, State, StepOperands, Steps, Weights, example, zero_state
from carousel.ops.recurrence import recurrence
from carousel.ops.reference import Reference
from carousel.ops.shapes import ShapeError
from carousel.ops.step import step

PREFERENCE.append(Reference())

__all__ = [
    "Backend",
    "Choice",
    "Moment",
    "Noise",
    "Operands",
    "ShapeError",
    "State",
    "StepOperands",
    "Steps",
    "Weights",
    "example",
    "explain",
    "only",
    "recurrence",
    "step",
    "zero_state",
]
