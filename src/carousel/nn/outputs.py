"""Reading an LSTM's outputs."""

from collections.abc import Sequence

import torch
from torch import Tensor

from carousel.nn.inputs import checked_lengths


def last_output(
    output: Tensor,
    lengths: Tensor | Sequence[int] | None = None,
    *,
    bidirectional: bool = False,
    batch_first: bool = False,
) -> Tensor:
    """Each sequence's last output, right for both directions.

    `output` (time, batch, directions * units), or (batch, time, …) with `batch_first`, is what an LSTM
    returned; `lengths` (batch,) are the true lengths. The forward half is taken at the last step, the
    backward half at the first, where it has seen the whole sequence. A sequence of no steps gives zeros.

    Returns (batch, directions * units).
    Raises ValueError if the output is not 3-D, its units are odd in two directions, or the lengths do not fit.
    """
    if output.dim() != 3:
        raise ValueError(
            f"output has shape {tuple(output.shape)}; expected (time, batch, units), or (batch, time, units)"
        )
    time_major = output.transpose(0, 1) if batch_first else output
    true = None if lengths is None else checked_lengths(lengths, time_major)
    if time_major.shape[0] == 0:
        return output.new_zeros(time_major.shape[1:])
    at = _last_steps(time_major, true)
    last = time_major.gather(0, at[None, :, None].expand(1, -1, time_major.shape[2])).squeeze(0)
    if true is not None:
        last = last * (true > 0).unsqueeze(1)
    if not bidirectional:
        return last
    if output.shape[2] % 2:
        raise ValueError(f"output has {output.shape[2]} units; two directions make an even number")
    half = output.shape[2] // 2
    return torch.cat([last[:, :half], time_major[0, :, half:]], dim=1)


def _last_steps(output: Tensor, lengths: Tensor | None) -> Tensor:
    if lengths is None:
        return torch.full((output.shape[1],), output.shape[0] - 1, device=output.device)
    return (lengths - 1).clamp(min=0)
