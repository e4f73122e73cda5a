"""The CTC head: torch's loss, and honesty about samples that have no alignment."""

import pytest
import torch

from carousel.nn import CTC, InfeasibleError, pad_labels
from carousel.ops import ShapeError

TARGETS = [[1, 2], [3, 3], [], [2]]


def test_each_loss_is_that_of_all_paths() -> None:
    head = CTC(5, 4, blank=3).double()
    x = torch.randn(3, 2, 5, dtype=torch.float64)
    log_probs = head(x)
    labels, counts = pad_labels([[0, 0], [2]])
    found = head.loss(log_probs, labels, [3, 2], counts, "none")
    by_hand = log_probs[0, 0, 0] + log_probs[1, 0, 3] + log_probs[2, 0, 0]  # no other path reads 0 0 in three frames
    ways = [(2, 2), (2, 3), (3, 2)]
    total = torch.logsumexp(torch.stack([log_probs[0, 1, a] + log_probs[1, 1, b] for a, b in ways]), 0)
    torch.testing.assert_close(found, -torch.stack([by_hand, total]))


def test_reductions_are_over_samples() -> None:
    head, x = CTC(5, 4), torch.randn(6, 4, 5)
    labels, counts = pad_labels(TARGETS)
    each, total, mean = (head.loss(head(x), labels, [6] * 4, counts, how) for how in ("none", "sum", "mean"))
    torch.testing.assert_close(each.sum(), total)
    torch.testing.assert_close(each.mean(), mean)
    with pytest.raises(ValueError, match="reduction is 'max'"):
        head.loss(head(x), labels, [6] * 4, counts, "max")


def test_samples_without_an_alignment_are_named() -> None:
    head, x = CTC(5, 4), torch.randn(6, 4, 5)
    labels, counts = pad_labels(TARGETS)
    with pytest.raises(InfeasibleError, match=r"\(0: 1 frames, 2 needed; 1: 2 frames, 3 needed\)"):
        head.loss(head(x), labels, [1, 2, 0, 1], counts)


def test_or_left_out_and_counted() -> None:
    head, x = CTC(5, 4, infeasible="skip"), torch.randn(6, 4, 5, requires_grad=True)
    labels, counts = pad_labels(TARGETS)
    loss = head.loss(head(x), labels, [6, 2, 6, 0], counts)
    expected = head.loss(head(x[:, [0, 2]]), labels[[0, 2]], [6, 6], counts[[0, 2]])
    torch.testing.assert_close(loss, expected)
    assert head.skipped == 2
    loss.backward()
    assert x.grad is not None and x.grad.isfinite().all()
    assert (x.grad[:, [1, 3]] == 0).all() and (x.grad[:, [0, 2]] != 0).any()
    none = head.loss(head(x), labels, [0, 0, -1, 0], counts)
    assert none.item() == 0 and none.requires_grad


def test_a_batch_without_labels_is_all_blanks() -> None:
    head, x = CTC(5, 4), torch.randn(6, 2, 5)
    labels, counts = pad_labels([[], []])
    log_probs = head(x)
    torch.testing.assert_close(head.loss(log_probs, labels, [6, 3], counts, "none")[1], -log_probs[:3, 1, 0].sum())


@pytest.mark.parametrize("lengths", [[6, 3, 0, 1], [2, 6, 1, 4]])
def test_no_loss_is_infinite_where_frames_suffice(lengths: list[int]) -> None:
    head, x = CTC(5, 4), torch.randn(6, 4, 5)
    labels, counts = pad_labels(TARGETS)
    assert head.loss(head(x), labels, lengths, counts, "none").isfinite().all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"labels": torch.tensor([[1, 9], [1, 1]])},
            "sample 0 has label 9 at 1; labels are 0 to 3 without the blank, 0",
        ),
        ({"labels": torch.tensor([[1, 2], [-2, 1]])}, "sample 1 has label -2 at 0"),
        ({"labels": torch.tensor([[1, 2], [1, 0]])}, "sample 1 has the blank, 0, among its labels, at 1"),
        ({"labels": torch.tensor([[1.0, 2.0], [1.0, 1.0]])}, "torch.float32; give integers"),
        ({"labels": torch.tensor([1, 2])}, r"labels are \(2,\)"),
        ({"lengths": [6, 7]}, r"lengths are \[6, 7\], but there are 6 frames"),
        ({"lengths": [6]}, r"lengths has shape \(1,\)"),
        ({"lengths": [5.5, 6]}, "lengths are .* give whole numbers"),
        ({"counts": [3, 2]}, r"counts are \[3, 2\]; they lie between 0 and 2"),
        ({"counts": [-1, 2]}, "they lie between 0 and 2"),
        ({"counts": [1.5, 2]}, "counts are .* give whole numbers"),
        ({"log_probs": torch.zeros(6, 2, 3)}, r"log-probabilities are \(6, 2, 3\); give \(time, 2, 4\)"),
        ({"log_probs": torch.zeros(6, 3, 4)}, r"log-probabilities are \(6, 3, 4\)"),
    ],
)
def test_labels_that_torch_would_look_up_outside_of_its_memory(change: dict[str, object], message: str) -> None:
    """Torch's loss reads and, on the way back, writes wherever a label points to."""
    given: dict[str, object] = {"log_probs": torch.zeros(6, 2, 4), "labels": torch.tensor([[1, 2], [1, 1]])}
    given |= {"lengths": [6, 6], "counts": [2, 2]}
    with pytest.raises(ShapeError, match=message):
        CTC(5, 4).loss(**{**given, **change})  # type: ignore[arg-type]


def test_what_fills_up_may_be_anything() -> None:
    head, labels, counts = CTC(5, 4), torch.tensor([[1, 2, 99], [3, -100, 0]]), [2, 1]
    log_probs = head(torch.randn(6, 2, 5))
    plain = torch.where(labels.clamp(0, 3) == labels, labels, 1)
    torch.testing.assert_close(
        head.loss(log_probs, labels, [6, 6], counts), head.loss(log_probs, plain, [6, 6], counts)
    )
    head.loss(log_probs, labels, [6, 6], counts).backward()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_widened(dtype: torch.dtype) -> None:
    head, (labels, counts) = CTC(5, 4), pad_labels(TARGETS)
    log_probs = head(torch.randn(6, 4, 5)).detach().to(dtype).requires_grad_()
    found = head.loss(log_probs, labels.int(), [6] * 4, counts)
    torch.testing.assert_close(found, head.loss(log_probs.float(), labels, [6] * 4, counts))
    found.backward()
    assert log_probs.grad is not None and log_probs.grad.dtype == dtype


def test_labels_to_pad_are_whole_numbers() -> None:
    with pytest.raises(ShapeError, match="labels are .*1.5.* give whole numbers"):
        pad_labels([[1], [1.5, 2]])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("options", "message"), [({"blank": 4}, "blank is 4"), ({"infeasible": "zero"}, "infeasible is 'zero'")]
)
def test_refusals(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CTC(5, 4, **options)  # type: ignore[arg-type]
