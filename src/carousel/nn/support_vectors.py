"""A last layer of support vector machines, one an output: support vectors and their weights as plain tensors."""

from typing import Any

import torch
from torch import Tensor, nn

KERNELS = ("rbf", "linear", "poly")


class SupportVectors(nn.Module):
    """Σ_s dual_s k(x, s) + intercept for each output, over at most `capacity` support vectors s.

    kernel: "rbf", exp(-γ |x - s|²); "linear", x·s; "poly", (γ x·s + coef0)^degree. gamma is 1 / width if None.
    Buffers: vectors (capacity, width), dual (outputs, capacity), intercept (outputs,); unused places have a dual of 0.

    Raises ValueError for a kernel that is none of these. Source: Cortes and Vapnik 1995; as a readout of an LSTM,
    Schmidhuber, Gagliolo, Wierstra and Gomez 2005 (Evoke).
    """

    vectors: Tensor
    dual: Tensor
    intercept: Tensor

    def __init__(
        self,
        width: int,
        outputs: int,
        capacity: int,
        *,
        kernel: str = "rbf",
        gamma: float | None = None,
        degree: int = 3,
        coef0: float = 0.0,
        **place: Any,
    ) -> None:
        super().__init__()
        if kernel not in KERNELS:
            raise ValueError(f"kernel is {kernel!r}; it can be {', '.join(KERNELS)}")
        self.in_features, self.out_features, self.capacity = width, outputs, capacity
        self.kernel, self.degree, self.coef0 = kernel, degree, coef0
        self.gamma = 1 / width if gamma is None else gamma
        self.register_buffer("vectors", torch.zeros(capacity, width, **place))
        self.register_buffer("dual", torch.zeros(outputs, capacity, **place))
        self.register_buffer("intercept", torch.zeros(outputs, **place))

    def forward(self, x: Tensor) -> Tensor:
        """(..., width) to (..., outputs)."""
        return self._kernel(x) @ self.dual.mT + self.intercept

    def _kernel(self, x: Tensor) -> Tensor:
        """k(x, s) of each support vector, (..., capacity)."""
        products = x @ self.vectors.mT
        if self.kernel == "linear":
            return products
        if self.kernel == "poly":
            return (self.gamma * products + self.coef0) ** self.degree
        apart = x.square().sum(-1, keepdim=True) - 2 * products + self.vectors.square().sum(-1)
        return (-self.gamma * apart.clamp_min(0)).exp()

    def extra_repr(self) -> str:
        """Sizes and kernel."""
        return f"{self.in_features}, {self.out_features}, capacity={self.capacity}, kernel={self.kernel!r}"
