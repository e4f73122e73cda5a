"""The paper's networks: as many weights as they claim, and a plain recurrent net that is one."""

import pytest
import torch

from carousel import LSTM
from papers.experiment import Experiment
from papers.graves2005.nets import ELMAN, elman, labeler, weights
from papers.graves2005.run import NETS


@pytest.mark.parametrize("bidirectional", [False, True])
def test_the_plain_net_is_torchs(bidirectional: bool) -> None:
    plain = elman(LSTM(3, 5, cell=ELMAN, bidirectional=bidirectional).double())
    torchs = torch.nn.RNN(3, 5, bidirectional=bidirectional).double()
    for name, weight in torchs.named_parameters():
        weight.data.copy_(dict(plain.named_parameters())[name][-5:])
    x = torch.randn(12, 4, 3, dtype=torch.float64, requires_grad=True)
    found, expected = plain(x)[0], torchs(x)[0]
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    slopes = torch.randn_like(found)
    torch.testing.assert_close(
        torch.autograd.grad((found * slopes).sum(), x), torch.autograd.grad((expected * slopes).sum(), x)
    )
    (plain(x)[0] * slopes).sum().backward()
    assert all(
        (weight.grad[:5] == 0).all() for weight in plain.parameters() if weight.grad is not None and len(weight) > 5
    )


def test_the_nets_have_about_as_many_weights(tmp_path: object) -> None:
    settings = Experiment("graves2005", False, tmp_path).settings()  # pyright: ignore[reportArgumentType]
    counts = {}
    for net in NETS:
        fresh = labeler(net, settings, 0)
        fresh.channels_, fresh.classes_ = 26, torch.arange(51).numpy()
        counts[net] = weights(fresh._network())
    one_frame = counts.pop("frame")
    assert all(97_000 < count < 102_000 for count in counts.values()), counts
    assert one_frame < 15_000
