"""How a cell runs: tensors in, tensors out, no weights kept."""

from carousel.ops.backend import PREFERENCE, AnyOperands, Backend, Choice, explain, only
from carousel.ops.cpu import CPU
from carousel.ops.operands import (
    Inputs,
    LayerOperands,
    Moment,
    Noise,
    Operands,
    Recompute,
    State,
    StepOperands,
    Steps,
    Weights,
    example,
    zero_state,
)
from carousel.ops.population import population
from carousel.ops.recurrence import layer, recurrence
from carousel.ops.reference import Reference
from carousel.ops.shapes import ShapeError
from carousel.ops.step import step
from carousel.ops.transducer import Emissions, emissions, lattice, lattice_loss, transducer_loss
from carousel.ops.triton import Triton

PREFERENCE.extend((CPU(), Triton(), Reference()))

__all__ = [
    "AnyOperands",
    "Backend",
    "Choice",
    "Emissions",
    "Inputs",
    "LayerOperands",
    "Moment",
    "Noise",
    "Operands",
    "Recompute",
    "ShapeError",
    "State",
    "StepOperands",
    "Steps",
    "Weights",
    "emissions",
    "example",
    "explain",
    "lattice",
    "lattice_loss",
    "layer",
    "only",
    "population",
    "recurrence",
    "step",
    "transducer_loss",
    "zero_state",
]
