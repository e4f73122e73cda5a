"""Transcription: a training step of CTC, the transducer's loss, and both beam searches."""

from collections.abc import Callable, Mapping
from functools import partial
from importlib.util import find_spec

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

import carousel
from benchmarks.cells import cases, timing
from benchmarks.cells.cases import OURS, TORCH
from benchmarks.cells.records import Answer, Figure, Row
from benchmarks.cells.timing import Effort
from carousel.data import Alphabet
from carousel.decoding import Network, PrefixBeam, TransducerBeam
from carousel.nn import Prediction, Transducer
from carousel.ops import transducer_loss, transducer_reference
from carousel.ops.transducer import lattice

FEATURES, HIDDEN, LAYERS, PHONES, BEAM, RATE = 40, 128, 3, 51, 100, 100
NARROW, SPOKEN = 10, 1 / 0.03
"""Of a transducer: its beam, and frames a second."""
CUT = 1e-6
"""Labels less probable than this the peer leaves out of its search, for speed; it finds the same text."""
PLAIN, AUDIO, PEER = "plain torch", "torchaudio", "fast-ctc-decode"
MISSING = "{} is not installed, or cannot be loaded, so it is not measured."
PLACES = ("all places", "two parts")
Size = tuple[int, int, int]


def transcription(effort: Effort, size: Size | None = None) -> Answer:
    """What people do with CTC and transducers, on 51 phones; `size` is sequences, frames and labels."""
    size = size or ((2, 60, 12) if effort.quick else (8, 200, 40))
    losses = [_transducer(size, work, effort) for work in PLACES]
    searches = [_beam(5 * size[1], effort), *(_search(size[1] // 5, joint, effort) for joint in (None, HIDDEN))]
    rows = [_ctc(size, effort), *losses, *searches]
    return Answer(
        "transcription",
        "Transcription",
        f"float32, one thread, {PHONES} phones and the blank. CTC: a training step of {LAYERS} layers of {HIDDEN} "
        f"cells in both directions on {FEATURES} features at ragged lengths, torch's as a PackedSequence. Transducer: "
        "the loss and its gradients from the scores at all places, or from the two parts whose sum they are. Beam: "
        f"frames of random, peaked probabilities, {RATE} a second. Transducer's search: {SPOKEN:.0f} frames a second, "
        f"their scores peaked alike, a prediction network of {HIDDEN} cells; beside it the search in plain Python.",
        rows,
        notes=_missing(),
    )


def _missing() -> list[str]:
    """Which peers are not there."""
    there = {AUDIO: _torchaudio() is not None, PEER: find_spec(_module(PEER)) is not None}
    return [MISSING.format(peer) for peer, found in there.items() if not found]


def _measured(row: Row, works: Mapping[str, timing.Work], right: str, effort: Effort) -> Row:
    """The row with timings, if all works agree with the right one."""
    return cases.measured(row, works, right, cases.TOLERANCE[torch.float32], effort)


def _ctc(size: Size, effort: Effort) -> Row:
    batch, time, longest = size
    torch.manual_seed(0)
    ours = carousel.LSTM(FEATURES, HIDDEN, LAYERS, bidirectional=True)
    theirs = nn.LSTM(FEATURES, HIDDEN, LAYERS, bidirectional=True)
    theirs.load_state_dict(ours.state_dict())
    head, x = nn.Linear(2 * HIDDEN, PHONES + 1), torch.randn(time, batch, FEATURES)
    lengths = torch.linspace(time // 2, time, batch).long()
    labels = torch.randint(1, PHONES + 1, (batch, longest // 3))

    def packed(given: Tensor) -> Tensor:
        return pad_packed_sequence(theirs(pack_padded_sequence(given, lengths, enforce_sorted=False))[0])[0]

    def step(run: Callable[[Tensor], Tensor], module: nn.Module) -> list[Tensor]:
        log_probs = F.log_softmax(head(run(x)), -1)
        loss = F.ctc_loss(log_probs, labels, lengths, torch.full((batch,), labels.shape[1]), reduction="sum")
        return [loss, *torch.autograd.grad(loss, list(module.parameters()))]

    row = Row(f"{batch} sequences of {time // 2} to {time} frames", "CTC training step", 1)
    works: dict[str, timing.Work] = {
        OURS: lambda: step(lambda given: ours(given, lengths=lengths)[0], ours),
        TORCH: lambda: step(packed, theirs),
    }
    _measured(row, works, TORCH, effort)
    cases.against(row, TORCH, 2.0)
    return row


def _transducer(size: Size, work: str, effort: Effort) -> Row:
    batch, time, longest = size
    torch.manual_seed(0)
    frames, counts = torch.linspace(time // 2, time, batch).long(), torch.linspace(longest // 2, longest, batch).long()
    labels, symbols = torch.randint(1, PHONES + 1, (batch, longest)), PHONES + 1
    if work == "all places":
        given = [torch.randn(batch, time, longest + 1, symbols, requires_grad=True)]
    else:
        given = [torch.randn(batch, each, symbols, requires_grad=True) for each in (time, longest + 1)]
    places = lattice(labels, frames, counts)

    def ours() -> list[Tensor]:
        loss = transducer_loss(given[0], labels, frames, counts, prediction=given[1] if given[1:] else None).sum()
        return [loss, *torch.autograd.grad(loss, given)]

    def plain() -> list[Tensor]:
        emitted = transducer_reference.emissions(given[0], places, given[1] if given[1:] else None)
        loss = transducer_reference.lattice_loss(*emitted, places).sum()
        return [loss, *torch.autograd.grad(loss, given)]

    works: dict[str, timing.Work] = {OURS: ours, PLAIN: plain}
    if (audio := _torchaudio()) is not None:
        works[AUDIO] = partial(_audio_step, audio, given, (labels, frames, counts))
    row = Row(f"{batch} × {time} frames × {longest} labels, {work}", "transducer loss", 1)
    _measured(row, works, PLAIN, effort)
    for peer in (PLAIN, AUDIO):
        if peer in works:
            cases.against(row, peer)
    return row


def _torchaudio() -> Callable[..., Tensor] | None:
    """Its loss, where it is installed and can be loaded."""
    try:
        from torchaudio.functional import rnnt_loss  # pyright: ignore[reportMissingImports]
    except (ImportError, OSError, RuntimeError):
        return None
    return rnnt_loss


def _audio_step(
    loss: Callable[..., Tensor], given: list[Tensor], lattice: tuple[Tensor, Tensor, Tensor]
) -> list[Tensor]:
    scores = given[0].unsqueeze(2) + given[1].unsqueeze(1) if given[1:] else given[0]
    total = loss(scores, *(each.int() for each in lattice), blank=0, clamp=-1, reduction="sum")
    return [total, *torch.autograd.grad(total, given)]


def _beam(time: int, effort: Effort) -> Row:
    alphabet = Alphabet(tuple(chr(ord("a") + number) for number in range(PHONES)))
    log_probs = peaked(time)
    row = Row(f"{time} frames, beam {BEAM}", "prefix beam search", 1)
    ours = PrefixBeam(alphabet, BEAM)
    works: dict[str, timing.Work] = {OURS: lambda: [_labels(ours(log_probs)[0].text)]}
    if find_spec(_module(PEER)):
        from fast_ctc_decode import beam_search  # pyright: ignore[reportMissingImports]

        probabilities, symbols = log_probs.exp().numpy(), "_" + "".join(alphabet.symbols)
        works[PEER] = lambda: [_labels(beam_search(probabilities, symbols, BEAM, beam_cut_threshold=CUT)[0])]
    _measured(row, works, OURS, effort)
    if row.timings:
        row.figures.append(Figure("of real time", time / RATE / row.median(OURS), 20.0))
    if PEER in works:
        cases.against(row, PEER)
    return row


class Asked:
    """A transducer of which a search knows nothing but how it is asked, so that plain Python searches."""

    def __init__(self, net: Transducer) -> None:
        self.predict, self.join = net.predict, net.join


def _search(time: int, joint: int | None, effort: Effort) -> Row:
    alphabet = Alphabet(tuple(chr(ord("a") + number) for number in range(PHONES)))
    frames, net = peaked(time)[:, None], peaked_transducer(joint)

    def read(network: Network) -> list[Tensor]:
        (found,) = TransducerBeam(network, alphabet, NARROW)(frames)
        return [torch.cat([torch.tensor([found.log_probability]), _labels(found.text)])]

    kind = "sum of scores" if joint is None else f"joint network of {joint}"
    row = Row(f"{time} frames, beam {NARROW}, {kind}", "transducer beam search", 1)
    _measured(row, {OURS: partial(read, net), PLAIN: partial(read, Asked(net))}, PLAIN, effort)
    if row.timings:
        row.figures.append(Figure("of real time", time / SPOKEN / row.median(OURS), 20.0))
    cases.against(row, PLAIN)
    return row


def peaked_transducer(joint: int | None) -> Transducer:
    """A transducer whose scores are those of its frames, (labels,), and what it thinks of the labels so far."""
    torch.manual_seed(1)
    width = PHONES + 1
    net = Transducer(width, Prediction(width, HIDDEN), joint)
    with torch.no_grad():
        net.of_frame.bias.zero_()
        net.of_frame.weight.copy_(torch.eye(joint or width, width))
        if net.output is not None:  # through the straight part of tanh, and out again
            net.of_frame.weight.mul_(0.05)
            net.output.weight[:, :width] += 20 * torch.eye(width)
    return net


def _module(package: str) -> str:
    return package.replace("-", "_")


def peaked(time: int) -> Tensor:
    """Log-probabilities (time, labels) as networks trained by CTC give them: blanks, and every eight frames a spike
    with rivals."""
    torch.manual_seed(0)
    scores = 1.5 * torch.randn(time, PHONES + 1)
    scores[:, 0] += 6
    for start in range(0, time, 8):
        for label in torch.randint(1, PHONES + 1, (3,)).tolist():
            scores[start : start + 3, label] += 6 + float(torch.randn(()))
    return F.log_softmax(scores, -1)


def _labels(text: str) -> Tensor:
    return torch.tensor([ord(each) for each in text], dtype=torch.float64)
