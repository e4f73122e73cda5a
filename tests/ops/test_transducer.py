"""The loss of a transducer: held to the sum over all alignments one by one, with gradients to finite differences."""

import itertools
import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from carousel.ops import ShapeError, emissions, lattice, lattice_loss, transducer_loss
from carousel.ops.cpu import transducer as compiled
from tests.ops.cpu.extension import TARGETS, needs_extension, target, threads

FRAMES, COUNTS = (4, 1, 3), (2, 3, 0)
LABELS = torch.tensor([[1, 3, 0], [2, 2, 1], [0, 0, 0]])
KINDS = ["compiled", "reference"]

pytestmark = needs_extension


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The compiled loops, or plain torch."""
    if request.param == "reference":
        monkeypatch.setattr(compiled, "refuses", lambda *_: "told to")
    return request.param


def scores(*sizes: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(*sizes, dtype=dtype, requires_grad=True)


def parts(dtype: torch.dtype = torch.float64) -> tuple[Tensor, Tensor]:
    """Of the transcription and of the prediction network, for three sequences and four symbols."""
    return scores(3, 5, 4, dtype=dtype), scores(3, 4, 4, dtype=dtype)


def by_alignments(scores: Tensor, labels: list[int], blank: int = 0) -> float:
    """Minus the log of the sum over every order of the labels and as many blanks as frames, the last of them a blank.

    scores: (frames, labels + 1, symbols)
    """
    probabilities, frames, total = torch.softmax(scores, -1), len(scores), 0.0
    for places in itertools.combinations(range(frames - 1 + len(labels)), len(labels)):
        t, u, way = 0, 0, 1.0
        for step in range(frames + len(labels)):
            symbol = labels[u] if step in places else blank
            way *= float(probabilities[t, u, symbol])
            t, u = (t, u + 1) if step in places else (t + 1, u)
        total += way
    return -math.log(total)


@pytest.mark.parametrize("blank", [0, 3])
@pytest.mark.parametrize("whole", [True, False], ids=["all", "sum"])
def test_all_alignments(whole: bool, blank: int, kind: str) -> None:
    first, second = parts()
    labels = (
        torch.tensor([[1, 2, 3], [2, 2, 1], [3, 3, 3]])
        if blank == 0
        else torch.tensor([[1, 2, 0], [2, 2, 1], [1, 1, 1]])
    )
    everywhere = first.unsqueeze(2) + second.unsqueeze(1)
    given = (everywhere, None) if whole else (first, second)
    found = transducer_loss(given[0], labels, FRAMES, COUNTS, prediction=given[1], blank=blank)
    for at, (time, count) in enumerate(zip(FRAMES, COUNTS, strict=True)):
        expected = by_alignments(everywhere[at, :time].detach(), labels[at, :count].tolist(), blank)
        assert found[at].item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("whole", [True, False], ids=["all", "sum"])
def test_gradients(whole: bool, kind: str) -> None:
    def loss(*given: Tensor) -> Tensor:
        return transducer_loss(given[0], LABELS, FRAMES, COUNTS, prediction=given[1] if len(given) > 1 else None)

    given = (scores(3, 4, 4, 4),) if whole else parts()
    assert torch.autograd.gradcheck(loss, given)
    assert torch.autograd.gradgradcheck(loss, given)


def test_gradients_of_the_pieces(kind: str) -> None:
    places = lattice(LABELS, FRAMES, COUNTS)

    def log_probabilities(given: Tensor) -> tuple[Tensor, ...]:
        return tuple(emissions(given, places))

    def loss(blank: Tensor, label: Tensor) -> Tensor:
        return lattice_loss(type(emissions(scores(3, 4, 4, 4), places))(blank, label), places)

    assert torch.autograd.gradcheck(log_probabilities, scores(3, 4, 4, 4))
    assert torch.autograd.gradcheck(
        loss, (-scores(3, 4, 4).detach().exp().requires_grad_(), -scores(3, 4, 3).detach().exp().requires_grad_())
    )


@pytest.mark.parametrize("whole", [True, False], ids=["all", "sum"])
def test_gradients_of_many_answers_in_one_pass(whole: bool) -> None:
    """torch's `is_grads_batched`, which hides an axis that no loop over memory sees."""
    first, second = parts()
    given = (scores(3, 5, 4, 4),) if whole else (first, second)
    losses = transducer_loss(given[0], LABELS, FRAMES, COUNTS, prediction=None if whole else second)
    rows = torch.randn(2, 3, dtype=torch.float64)
    at_once = torch.autograd.grad(losses, given, rows, is_grads_batched=True, retain_graph=True)
    for at, row in enumerate(rows):
        alone = torch.autograd.grad(losses, given, row, retain_graph=True)
        torch.testing.assert_close([each[at] for each in at_once], list(alone))


@pytest.mark.usefixtures("poisoned_memory")
@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float", "double"])
@pytest.mark.parametrize("symbols", [2, 5, 52, 67])
def test_every_instruction_set_agrees(symbols: int, dtype: torch.dtype, name: str) -> None:
    frames, counts = torch.tensor([17, 3, 12, 1]), torch.tensor([6, 9, 0, 2])
    labels = torch.randint(1, symbols, (4, 9))
    given = [(scores(4, 17, 10, symbols), None), (scores(4, 17, symbols), scores(4, 10, symbols))]
    for pair in given:
        expected = results(pair, labels, frames, counts, torch.float64, plain)
        with target(name):
            found = results(pair, labels, frames, counts, dtype, compiled_loss)
        rtol, atol = (1e-9, 1e-11) if dtype is torch.float64 else (2e-5, 2e-5)
        torch.testing.assert_close(found, expected, rtol=rtol, atol=atol)


def results(
    pair: tuple[Tensor, Tensor | None],
    labels: Tensor,
    frames: Tensor,
    counts: Tensor,
    dtype: torch.dtype,
    loss: Callable[..., Tensor],
) -> list[Tensor]:
    """Losses and gradients, in float64."""
    leaves = [each.detach().to(dtype).requires_grad_() for each in pair if each is not None]
    found = loss(leaves[0], labels, frames, counts, prediction=leaves[1] if len(leaves) > 1 else None)
    (found * torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=found.dtype)).sum().backward()
    return [found.detach().double(), *(leaf.grad.double() for leaf in leaves if leaf.grad is not None)]


def compiled_loss(*given: Tensor, **options: Tensor) -> Tensor:
    assert compiled.refuses(given[0]) is None
    return transducer_loss(*given, **options)  # type: ignore[arg-type]


def plain(*given: Tensor, **options: Tensor) -> Tensor:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled, "refuses", lambda *_: "told to")
        return transducer_loss(*given, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("whole", [True, False], ids=["all", "sum"])
def test_threads_change_nothing(whole: bool) -> None:
    frames, counts, labels = torch.tensor([9, 7, 8]), torch.tensor([4, 2, 3]), torch.randint(1, 6, (3, 4))
    pair = (scores(3, 9, 5, 6), None) if whole else (scores(3, 9, 6), scores(3, 5, 6))

    def weighted(*given: Tensor, **options: Tensor) -> Tensor:
        return torch.cat([compiled_loss(*given, **options), torch.zeros(1)])

    alone = results(pair, labels, frames, counts, torch.float32, weighted)
    with threads(3):
        together = results(pair, labels, frames, counts, torch.float32, weighted)
    assert all(torch.equal(*both) for both in zip(alone, together, strict=True))


def test_large_scores_neither_overflow_nor_vanish(kind: str) -> None:
    first = scores(1, 3, 2, 3, dtype=torch.float32)
    shifted = (first.detach() + torch.tensor([1e4, 1e4, 1e4])).requires_grad_()
    for each in (first, shifted):
        transducer_loss(each, torch.tensor([[2]]), [3], [1]).backward()
    torch.testing.assert_close(first.grad, shifted.grad, rtol=2e-2, atol=2e-3)  # scores of 1e4 have so few digits left
    far = torch.tensor([[[0.0, 200.0, -200.0], [0.0, 200.0, -200.0]]]).unsqueeze(0)
    assert transducer_loss(far, torch.tensor([[2]]), [1], [1]).item() == pytest.approx(600)


def test_what_lies_outside_of_a_sequence_does_not_matter(kind: str) -> None:
    given = scores(3, 4, 4, 4)
    places = lattice(LABELS, FRAMES, COUNTS).places(4)
    spoilt = torch.where(places.unsqueeze(3), given, math.nan).detach().requires_grad_()
    found = transducer_loss(spoilt, torch.where(LABELS == 0, 77, LABELS), FRAMES, COUNTS)
    expected = transducer_loss(given, LABELS, FRAMES, COUNTS)
    if kind == "compiled":
        assert torch.equal(found, expected)
        found.sum().backward()
        assert spoilt.grad is not None and bool((spoilt.grad[~places] == 0).all())


@pytest.mark.parametrize("whole", [True, False], ids=["all", "sum"])
def test_nothing_to_emit(whole: bool, kind: str) -> None:
    """No labels are so many blanks as there are frames, and no sequences have no losses."""
    given, none = (scores(2, 4, 1, 3), scores(0, 4, 1, 3)) if whole else (scores(2, 4, 3), scores(0, 4, 3))
    second = None if whole else torch.zeros(2, 1, 3, dtype=torch.float64)
    empty = torch.zeros(2, 0, dtype=torch.int64)
    found = transducer_loss(given, empty, [4, 2], [0, 0], prediction=second)
    blanks = torch.log_softmax(given, -1).reshape(2, 4, 3)[..., 0]
    torch.testing.assert_close(found, -torch.stack([blanks[0].sum(), blanks[1, :2].sum()]))
    second = None if whole else torch.zeros(0, 1, 3, dtype=torch.float64)
    assert transducer_loss(none, empty[:0], [], [], prediction=second).shape == (0,)


def test_half_precision_is_summed_in_single(kind: str) -> None:
    given = scores(3, 4, 4, 4).to(torch.bfloat16)
    found = transducer_loss(given, LABELS, FRAMES, COUNTS)
    torch.testing.assert_close(found, transducer_loss(given.float(), LABELS, FRAMES, COUNTS))


def test_transforms_of_torch_see_plain_operations() -> None:
    given = scores(3, 4, 4, 4)
    places = lattice(LABELS, FRAMES, COUNTS)

    def loss(one: Tensor) -> Tensor:
        return lattice_loss(emissions(one, places), places).sum()

    torch.testing.assert_close(torch.func.grad(loss)(given), torch.autograd.grad(loss(given), given)[0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": (4, 0, 3)}, "sequence 1 has no frames"),
        ({"frames": (4, 1)}, r"frames has shape \(2,\)"),
        ({"frames": (4, 1.5, 3)}, "frames are .* give whole numbers"),
        ({"counts": (2, 4, 0)}, "counts are"),
        ({"labels": LABELS[0]}, r"labels are \(3,\)"),
        ({"labels": LABELS.double()}, "torch.float64"),
        (
            {"labels": torch.tensor([[1, 0, 0], [2, 2, 1], [0, 0, 0]])},
            "sample 0 has the blank, 0, .* at 1",
        ),
        ({"labels": LABELS + 3}, "sample 0 has label 4 at 0; labels are 0 to 3"),
        ({"blank": 4}, "blank is 4"),
        ({"scores": torch.zeros(3, 4, 3, 4)}, "scores are"),
        ({"scores": torch.zeros(3, 3, 4, 4)}, "frames are"),
        ({"prediction": torch.zeros(3, 3, 4)}, "and "),
    ],
)
def test_refusals(change: dict[str, object], message: str) -> None:
    given: dict[str, object] = {"scores": torch.zeros(3, 4, 4, 4), "labels": LABELS, "frames": FRAMES, "counts": COUNTS}
    with pytest.raises(ShapeError, match=message):
        transducer_loss(**{**given, **change})  # type: ignore[arg-type]


def test_a_lattice_keeps_its_own_numbers() -> None:
    """On the way back the loops look places up by them."""
    frames, counts, given = torch.tensor(FRAMES), torch.tensor(COUNTS), scores(3, 4, 4, 4)
    found = transducer_loss(given, LABELS, frames, counts).sum()
    frames += 1000
    counts += 1000
    (expected,) = torch.autograd.grad(transducer_loss(given, LABELS, FRAMES, COUNTS).sum(), given)
    assert torch.equal(torch.autograd.grad(found, given)[0], expected)


def test_a_lattice_of_another_place_is_refused(kind: str) -> None:
    places, given = lattice(LABELS, FRAMES, COUNTS), scores(3, 4, 4, 4)
    away = places._replace(labels=places.labels.to("meta"))
    emitted = emissions(given, places)
    for run in (lambda: emissions(given, away), lambda: lattice_loss(emitted, away)):
        with pytest.raises(ShapeError, match="labels are on meta, what is said of them on cpu"):
            run()
    with pytest.raises(ShapeError, match=r"frames are \[1, 0, 0\], but there are 4 steps; give 1 to 4"):
        lattice_loss(emitted, places.piece(3, 5))


def test_torchaudio_agrees() -> None:
    try:
        from torchaudio.functional import rnnt_loss  # pyright: ignore[reportMissingImports]
    except (ImportError, OSError, RuntimeError) as error:
        pytest.skip(f"torchaudio is not there: {error}")
    given, labels = scores(2, 4, 4, 5, dtype=torch.float32), torch.tensor([[1, 3, 2], [4, 4, 1]])
    integers = [each.int() for each in (labels, torch.tensor([4, 3]), torch.tensor([3, 2]))]
    expected = rnnt_loss(given, *integers, blank=0, clamp=-1, reduction="none")
    found = transducer_loss(given, labels, [4, 3], [3, 2])
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(torch.autograd.grad(found.sum(), given), torch.autograd.grad(expected.sum(), given))
