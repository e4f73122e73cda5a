"""The CTC head: torch's loss, and honesty about samples that have no alignment."""

import pytest
import torch

from carousel.nn import CTC, InfeasibleError, pad_labels

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
    ("options", "message"), [({"blank": 4}, "blank is 4"), ({"infeasible": "zero"}, "infeasible is 'zero'")]
)
def test_refusals(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CTC(5, 4, **options)  # type: ignore[arg-type]
