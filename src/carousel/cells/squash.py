"""Squashing functions: formula, slope from the value, LaTeX, and the names others give them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Squash:
    """One squashing function y = f(x); `slope` is dy/dx written in terms of y."""

    name: str
    latex: str
    formula: str
    slope: str
    keras: str | None = None
    onnx: str | None = None


SQUASHES = {
    squash.name: squash
    for squash in (
        Squash("sigmoid", r"\sigma", "1 / (1 + exp(-x))", "y (1 - y)", "sigmoid", "Sigmoid"),
        Squash("tanh", r"\tanh", "tanh(x)", "1 - y²", "tanh", "Tanh"),
        Squash("identity", "", "x", "1", "linear", "Affine"),
        Squash("g1997", "g", "4 sigmoid(x) - 2", "(4 - y²) / 4"),
        Squash("h1997", "h", "2 sigmoid(x) - 1", "(1 - y²) / 2"),
        Squash(
            "hard_sigmoid",
            r"\bar{\sigma}",
            "min(max(x + 3, 0), 6) / 6",
            "1/6 where 0 < y < 1, else 0",
            "hard_sigmoid",
            "HardSigmoid",
        ),
        Squash("softsign", r"\mathrm{softsign}", "x / (1 + |x|)", "(1 - |y|)²", "softsign", "Softsign"),
        Squash("relu", r"\mathrm{relu}", "max(x, 0)", "1 where y > 0, else 0", "relu", "Relu"),
    )
}
