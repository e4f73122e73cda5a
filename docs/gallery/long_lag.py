"""Every cell of the table must remember one sign for twenty noisy steps, and the start decides whether it can learn to.

Drawn as torch draws it, a forget gate stands near one half: after twenty steps a millionth of the memory is left, and
of the gradient too. The two cells whose memory is never forgotten learn at once: this is the constant error carousel
(Hochreiter & Schmidhuber 1997). The others learn as fast when their gates begin open for as long as the lag
(`init="chrono:40"`, Tallec & Ollivier 2018).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

import carousel
from carousel.cells import VARIANTS

LAG, UPDATES, UNITS = 20, 50, 6


def signs(count: int) -> tuple[Tensor, Tensor]:
    """Series (LAG, count, 2) that show a sign and a mark at their first step, noise after it; and the signs, 0 or 1."""
    x, y = 0.3 * torch.randn(LAG, count, 2), torch.randint(0, 2, (count,))
    x[..., 1] = 0
    x[0, :, 0], x[0, :, 1] = 2.0 * y - 1, 1
    return x, y.float()


def learn(cell: str, init: str) -> tuple[float, int]:
    """Accuracy on new series after a short training, and the number of parameters."""
    torch.manual_seed(0)
    lstm, head = carousel.LSTM(2, UNITS, cell=cell, init=init), nn.Linear(UNITS, 1)
    parameters = [*lstm.parameters(), *head.parameters()]
    optimizer = torch.optim.Adam(parameters, lr=0.04)
    for _ in range(UPDATES):
        x, y = signs(32)
        loss = F.binary_cross_entropy_with_logits(head(lstm(x)[0][-1]).squeeze(1), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        x, y = signs(500)
        right = (head(lstm(x)[0][-1]).squeeze(1) > 0) == y.bool()
    return right.float().mean().item(), sum(p.numel() for p in lstm.parameters())


def main() -> None:
    print(f"{'cell':22} {'weights':>7}   {'as torch begins':>15}   {'gates open for the lag':>22}")
    for cell in VARIANTS:
        plain, size = learn(cell, "torch")
        chrono, _ = learn(cell, f"chrono:{2 * LAG}")
        assert chrono > 0.9, f"{cell} did not learn"
        print(f"{cell:22} {size:7}   {plain:15.0%}   {chrono:22.0%}")


if __name__ == "__main__":
    main()
