"""Weight noise: there inside, gone afterwards, with gradients at the noisy weights."""

import pytest
import torch
from torch import nn

from carousel.nn import weight_noise


def test_noise_lies_on_the_weights_inside_alone() -> None:
    net = nn.Linear(200, 100)
    before = net.weight.detach().clone()
    with weight_noise(net.parameters(), 0.075):
        noise = net.weight.detach() - before
    assert noise.std().item() == pytest.approx(0.075, rel=0.02)
    assert abs(noise.mean().item()) < 0.002
    assert torch.equal(net.weight, before)


def test_gradients_are_those_at_the_noisy_weights() -> None:
    net = nn.Linear(3, 1, bias=False)
    x = torch.randn(5, 3)
    with weight_noise(net.parameters(), 1.0):
        noisy = net.weight.detach().clone()
        net(x).square().sum().backward()
    torch.testing.assert_close(net.weight.grad, 2 * (x @ noisy.T).T @ x)


def test_an_error_inside_leaves_the_weights_as_they_were() -> None:
    net = nn.Linear(3, 1)
    before = net.weight.detach().clone()
    with pytest.raises(RuntimeError), weight_noise(net.parameters(), 1.0):
        net(torch.zeros(4))
    assert torch.equal(net.weight, before)


@pytest.mark.parametrize("deviation", [-1.0, float("nan")])
def test_refusals(deviation: float) -> None:
    with pytest.raises(ValueError, match="deviation is"), weight_noise([], deviation):
        pass


def test_no_noise_draws_nothing() -> None:
    net, before = nn.Linear(3, 1), torch.get_rng_state()
    with weight_noise(net.parameters(), 0.0):
        net(torch.zeros(3))
    assert torch.equal(torch.get_rng_state(), before)
