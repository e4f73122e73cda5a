"""Several gradients at once (torch's `is_grads_batched`): one tensor with an axis that torch hides.

A loop that reads memory cannot see such a tensor: it is taken apart, goes back once for each, and is put together.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

Gradients = Sequence[Tensor | None]
_of_torch: Any = torch._C  # pyright: ignore[reportPrivateUsage]


def hidden(gradients: Gradients) -> bool:
    """Whether one of the gradients has such an axis."""
    return any(tensor is not None and _of_torch._functorch.is_legacy_batchedtensor(tensor) for tensor in gradients)


def passes(back: Callable[[Gradients], Gradients], gradients: Gradients) -> Gradients:
    """What `back`, which overwrites nothing that it reads, makes of the gradients, or of each set that torch hides."""
    return each(back, gradients) if hidden(gradients) else back(gradients)


def each(back: Callable[[Gradients], Gradients], gradients: Gradients) -> list[Tensor | None]:
    """What `back` makes of each set of gradients, with the same axis."""
    level = _of_torch._vmapmode_increment_nesting() - 1
    _of_torch._vmapmode_decrement_nesting()
    shown = [tensor if tensor is None else _shown(tensor, level) for tensor in gradients]
    pairs = list(zip(shown, gradients, strict=True))
    count = next(len(own) for own, tensor in pairs if own is not None and own is not tensor)
    found = [
        back([part if part is None or part is tensor else part[at] for part, tensor in pairs]) for at in range(count)
    ]
    return [
        None if parts[0] is None else torch._add_batch_dim(torch.stack(list(parts)), 0, level)  # type: ignore[arg-type]
        for parts in zip(*found, strict=True)
    ]


def _shown(tensor: Tensor, level: int) -> Tensor:
    """The tensor with its hidden axis in front; itself if it has none."""
    if not _of_torch._functorch.is_legacy_batchedtensor(tensor):
        return tensor
    return torch._remove_batch_dim(tensor, level, 1, 0)  # pyright: ignore[reportPrivateImportUsage]
