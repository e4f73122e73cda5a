"""In place of torch.nn.LSTM: the same arguments, the same numbers, and checkpoints that load both ways.

A network is written for torch, its LSTM is exchanged, and neither its checkpoint nor its answers change.
"""

import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import carousel


class Tagger(nn.Module):
    """Two classes for each step; the kind of LSTM is all that differs."""

    def __init__(self, kind: type[nn.LSTM] | type[carousel.LSTM]) -> None:
        super().__init__()
        self.lstm = kind(8, 16, num_layers=2, bidirectional=True, batch_first=True)
        self.head = nn.Linear(32, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.lstm(x)[0])


def exchange(path: Path, source: nn.Module, target: nn.Module) -> None:
    """Carry a checkpoint from one network to another; strict: every name and every shape must agree."""
    save_file(source.state_dict(), path)
    target.load_state_dict(load_file(path), strict=True)


def main() -> None:
    torch.manual_seed(0)
    theirs = Tagger(nn.LSTM)
    torch.manual_seed(0)
    ours = Tagger(carousel.LSTM)
    same = all(torch.equal(a, b) for a, b in zip(theirs.parameters(), ours.parameters(), strict=True))
    print(f"same seed, same {len(list(ours.parameters()))} parameters: {same}")

    x = torch.randn(3, 20, 8)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "tagger.safetensors"
        exchange(path, Tagger(nn.LSTM), ours)
        exchange(path, ours, theirs)
    gap = (ours(x) - theirs(x)).abs().max()
    print(f"after a checkpoint from torch and back, outputs differ by {gap:.0e}")
    assert same and gap < 1e-5

    peephole = carousel.LSTM(8, 16, cell="peephole")
    new = peephole.state_dict().keys() - nn.LSTM(8, 16).state_dict().keys()
    print(f"a peephole LSTM adds {', '.join(new)} and renames nothing")


if __name__ == "__main__":
    main()
