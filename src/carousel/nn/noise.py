"""Weight noise."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def weight_noise(parameters: Iterable[nn.Parameter], deviation: float) -> Iterator[None]:
    """Inside, Gaussian noise lies on the parameters; afterwards they are as before, to the bit.

    One draw for all that is computed inside: Graves et al. 2013 draw for each training sequence, with a deviation of
    0.075; with batches of several sequences it is one for each batch. Gradients that are found inside are those at
    the noisy
    weights, and belong to the weights themselves (Jim, Giles & Horne 1996).

    Raises ValueError for a negative deviation.
    """
    if not deviation >= 0:
        raise ValueError(f"deviation is {deviation}; the deviation of noise is 0 or more")
    noisy = list(parameters) if deviation else []
    before = [parameter.detach().clone() for parameter in noisy]
    with torch.no_grad():
        for parameter in noisy:
            parameter.add_(torch.randn_like(parameter), alpha=deviation)
    try:
        yield
    finally:
        with torch.no_grad():
            for parameter, value in zip(noisy, before, strict=True):
                parameter.copy_(value)
