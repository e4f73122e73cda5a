"""What a module may be called with, brought to one form: time first, batched, with lengths."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch._C._functorch import is_batchedtensor
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from carousel.ops import shapes


class Ragged(NamedTuple):
    """x (time, batch, features), the true lengths, where sequences begin anew, and how the caller passed them."""

    x: Tensor
    lengths: Tensor | None
    reset: Tensor | None
    packed: PackedSequence | None
    batched: bool

    def restore(self, output: Tensor, batch_first: bool) -> Tensor | PackedSequence:
        """The output in the form in which the input came."""
        if self.packed is not None:
            assert self.lengths is not None
            packed = pack_padded_sequence(output, self.lengths.cpu())
            return PackedSequence(
                packed.data, self.packed.batch_sizes, self.packed.sorted_indices, self.packed.unsorted_indices
            )
        if not self.batched:
            return output.squeeze(1)
        return output.transpose(0, 1) if batch_first else output


def unpacked(x: PackedSequence, lengths: object, reset: object) -> Ragged:
    """A packed sequence, padded, in its own order of decreasing length."""
    if lengths is not None or reset is not None:
        raise ValueError("a PackedSequence has its own lengths and takes no reset; pass a padded tensor for these")
    padded, sizes = pad_packed_sequence(PackedSequence(x.data, x.batch_sizes))
    return Ragged(padded, sizes.to(padded.device), None, x, True)


def padded(x: Tensor, lengths: object, reset: object, batch_first: bool) -> Ragged:
    """A padded batch or one sequence; lengths and reset may be anything that becomes a tensor."""
    batched = x.dim() == 3
    time_major = x.transpose(0, 1) if batched and batch_first else x if batched else x.unsqueeze(1)
    sizes = None if lengths is None else checked_lengths(lengths, time_major, batched)
    return Ragged(
        time_major if sizes is None else time_major.masked_fill(_behind(sizes, time_major), 0),
        sizes,
        _reset(reset, time_major, batched, batch_first),
        None,
        batched,
    )


def checked_lengths(lengths: object, x: Tensor, batched: bool = True) -> Tensor:
    """The lengths of the sequences in x (time, batch, …) as int64, from anything that becomes a tensor.

    Raises TypeError unless they are integers, ValueError unless there is one a sequence, from 0 to time.
    """
    tensor = torch.as_tensor(lengths, device=x.device)
    tensor = tensor.reshape(1) if not batched and tensor.dim() == 0 else tensor
    tensor = tensor if tensor.numel() else tensor.long()  # an empty list becomes a tensor of floats
    shapes.check_lengths(tensor, x.shape[0], x.shape[1])
    if not torch.compiler.is_compiling() and not is_batchedtensor(tensor):
        shapes.check_length_values(tensor, x.shape[0])
    return tensor.to(torch.int64)


def _behind(lengths: Tensor, x: Tensor) -> Tensor:
    """Which steps (time, batch, 1) lie behind a sequence's end: padding may hold anything, NaN too."""
    steps = torch.arange(x.shape[0], device=x.device)
    return (steps.unsqueeze(1) >= lengths).unsqueeze(2)


def _reset(reset: object, x: Tensor, batched: bool, batch_first: bool) -> Tensor | None:
    if reset is None:
        return None
    tensor = torch.as_tensor(reset, device=x.device)
    if not batched and tensor.dim() == 1:
        tensor = tensor.unsqueeze(1)
    elif batched and batch_first and tensor.dim() == 2:
        tensor = tensor.transpose(0, 1)
    shapes.check_reset(tensor, x.shape[0], x.shape[1])
    return tensor
