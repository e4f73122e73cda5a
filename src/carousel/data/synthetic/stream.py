"""What tasks without an end are made of."""

from typing import NamedTuple

from torch import Tensor


class Stream(NamedTuple):
    """Steps of one stream.

    `inputs` are int64 symbols (time,) or numbers (time, inputs); `targets` (time, outputs); `observed` (time,) says
    which steps have a target, `begins` (time,) at which a string begins.
    """

    inputs: Tensor
    targets: Tensor
    observed: Tensor
    begins: Tensor
