"""For our tests and benchmarks, and for strangers' backends: problems, agreement with the reference, poison."""

from carousel.testing.agreement import CELLS, TOLERANCE, Agreement, Disagreement, check, compare
from carousel.testing.poison import poisoned_memory, poisoned_padding
from carousel.testing.problems import PROBLEMS, STEPS, Problem, StepProblem, for_benchmarks, for_tests

__all__ = [
    "CELLS",
    "PROBLEMS",
    "STEPS",
    "TOLERANCE",
    "Agreement",
    "Disagreement",
    "Problem",
    "StepProblem",
    "check",
    "compare",
    "for_benchmarks",
    "for_tests",
    "poisoned_memory",
    "poisoned_padding",
]
