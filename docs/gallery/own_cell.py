"""A cell of your own is one description: it prints its equations, and runs wherever a cell's name does.

JANET keeps only the forget gate (van der Westhuizen & Lasenby 2018, "The unreasonable effectiveness of the forget
gate"): what is not forgotten is written, and the whole memory is the output.
"""

import torch

import carousel
from carousel import Cell, Complement, Gate, Open

JANET = Cell(input=Complement("forget"), forget=Gate(), candidate=Gate("tanh"), output=Open(), squash="identity")


def by_hand(lstm: carousel.LSTM, x: torch.Tensor) -> torch.Tensor:
    """The same cell written out, to check the description by; x is (time, batch, features)."""
    weights = dict(lstm.named_parameters())
    W, R, b = weights["weight_ih_l0"], weights["weight_hh_l0"], weights["bias_ih_l0"] + weights["bias_hh_l0"]
    h, outputs = x.new_zeros(x.shape[1], lstm.hidden_size), []
    for step in x:
        f, z = (step @ W.T + h @ R.T + b).chunk(2, dim=1)
        h = f.sigmoid() * h + (1 - f.sigmoid()) * z.tanh()
        outputs.append(h)
    return torch.stack(outputs)


def main() -> None:
    print("\n".join(carousel.equations(JANET)))

    torch.manual_seed(0)
    lstm = carousel.LSTM(4, 8, cell=JANET, forget_bias=1.0)
    x = torch.randn(30, 5, 4)
    out, (h, c) = lstm(x)
    gap = (out - by_hand(lstm, x)).abs().max()
    print(f"layer and hand agree to {gap:.0e}; h is c: {torch.equal(h, c)}")
    assert gap < 1e-5 and torch.equal(h, c)

    step = carousel.LSTMCell(4, 8, cell=JANET)
    step.load_state_dict({name.removesuffix("_l0"): value for name, value in lstm.state_dict().items()})
    state = None
    for moment in x:
        state = step(moment, state)
    assert state is not None
    print(f"one step at a time ends {(state[0] - h[0]).abs().max():.0e} away from the layer")

    sizes = {name: sum(p.numel() for p in carousel.LSTM(4, 8, cell=cell).parameters())
             for name, cell in {"JANET": JANET, "the common LSTM": "lstm"}.items()}  # fmt: skip
    print(", ".join(f"{name}: {size} parameters" for name, size in sizes.items()))


if __name__ == "__main__":
    main()
