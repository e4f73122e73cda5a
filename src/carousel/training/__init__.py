"""How it learns: a method improves a model on a batch, and the loop reports after each."""

from carousel.ops.online import OnlineNet
from carousel.ops.online_filter import OnlineFilter
from carousel.training.bptt import BPTT
from carousel.training.checkpoint import CheckpointError
from carousel.training.evolino import Evolino
from carousel.training.evolution import Evolution
from carousel.training.fit import fit
from carousel.training.forwards import RTRL, Rule1997
from carousel.training.kalman import DEKF
from carousel.training.method import METHODS, DivergenceError, Method, Model, method_named
from carousel.training.online import OnlineLearner, Trials
from carousel.training.plan import Plan, Report
from carousel.training.policy import PPO, REINFORCE
from carousel.training.truncated import TruncatedBPTT
from carousel.training.validation import validation_loss

__all__ = [
    "BPTT",
    "DEKF",
    "METHODS",
    "PPO",
    "REINFORCE",
    "RTRL",
    "CheckpointError",
    "DivergenceError",
    "Evolino",
    "Evolution",
    "Method",
    "Model",
    "OnlineFilter",
    "OnlineLearner",
    "OnlineNet",
    "Plan",
    "Report",
    "Rule1997",
    "Trials",
    "TruncatedBPTT",
    "fit",
    "method_named",
    "validation_loss",
]
