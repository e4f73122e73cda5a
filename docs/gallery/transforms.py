"""torch's function transforms work as for any other module: vmap, grad, stacked models, compile.

Per-sample gradients (as differential privacy needs), the influence of every step, an ensemble in one call, and a graph
without a break.
"""

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, jacrev, stack_module_state, vmap

import carousel
from carousel.nn import last_output

Weights = dict[str, Tensor]


class Reader(nn.Module):
    """One number for a sequence (time, batch, features)."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = carousel.LSTM(2, 8, cell="peephole")
        self.head = nn.Linear(8, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(last_output(self.lstm(x)[0])).squeeze(-1)


def loss(model: Reader, weights: Weights, x: Tensor, y: Tensor) -> Tensor:
    """The squared error on one sequence x (time, features)."""
    return (functional_call(model, weights, (x.unsqueeze(1),)) - y).square().mean()


def per_sample_gradients(model: Reader, x: Tensor, y: Tensor) -> None:
    weights = {name: value.detach() for name, value in model.named_parameters()}

    def one(weights: Weights, x: Tensor, y: Tensor) -> Tensor:
        return loss(model, weights, x, y)

    each = vmap(grad(one), in_dims=(None, 1, 0))(weights, x, y)
    norms = torch.cat([gradient.flatten(1) for gradient in each.values()], dim=1).norm(dim=1)
    print(f"gradient norm of each of {len(norms)} sequences: {norms.min():.3f} to {norms.max():.3f}")

    (model(x) - y).square().mean().backward()
    gap = max((each[name].mean(0) - p.grad).abs().max() for name, p in model.named_parameters() if p.grad is not None)
    print(f"their mean is the gradient of the batch, to {gap:.0e}")
    assert gap < 1e-5


def influence(model: Reader, x: Tensor) -> None:
    """How strongly the answer hangs on each step that came before: the Jacobian, for all sequences at once."""
    of_each = vmap(jacrev(lambda series: model(series.unsqueeze(1)).squeeze(0)), in_dims=1)(x)
    strength = of_each.abs().sum(dim=2).mean(dim=0)
    print("influence of each step:", " ".join(f"{value:.3f}" for value in strength.tolist()))


def ensemble(x: Tensor) -> None:
    models = [Reader() for _ in range(5)]
    parameters, buffers = stack_module_state(models)
    skeleton = Reader()
    answers = vmap(lambda p, b: functional_call(skeleton, (p, b), (x,)))(parameters, buffers)
    gap = (answers - torch.stack([model(x) for model in models])).abs().max()
    print(f"five models in one call, {tuple(answers.shape)}: {gap:.0e} from one after the other")
    assert gap < 1e-5


def compiled(model: Reader, x: Tensor) -> None:
    """With fullgraph=True a break in the graph would raise; "aot_eager" traces as usual and builds nothing."""
    whole = torch.compile(model, fullgraph=True, backend="aot_eager")
    gap = (whole(x) - model(x)).abs().max()
    print(f"one graph for the whole model: {gap:.0e} from plain running")
    assert gap < 1e-5


def main() -> None:
    torch.manual_seed(0)
    model, x, y = Reader(), torch.randn(12, 6, 2), torch.randn(6)
    per_sample_gradients(model, x, y)
    influence(model, x)
    ensemble(x)
    compiled(model, x)


if __name__ == "__main__":
    main()
