"""How a cell runs: tensors in, tensors out, no weights kept."""

from carousel.ops.backend import PREFERENCE, Backend, Choice, explain, only
from carousel.ops.operands import Noise, Operands, State, Steps, Weights, example, zero_state
from carousel.ops.recurrence import recurrence
from carousel.ops.reference import Reference
from carousel.ops.shapes import ShapeError
from carousel.ops.step import Stepped, step

PREFERENCE.append(Reference())

__all__ = [
    "Backend",
    "Choice",
    "Noise",
    "Operands",
    "ShapeError",
    "State",
    "Stepped",
    "Steps",
    "Weights",
    "example",
    "explain",
    "only",
    "recurrence",
    "step",
    "zero_state",
]
