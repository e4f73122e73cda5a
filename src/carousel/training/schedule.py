"""Learning-rate schedules: a factor on the learning rate as a function of training's progress."""

import inspect
import math
from collections.abc import Callable
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def constant(progress: float) -> float:
    """The learning rate as given."""
    del progress
    return 1.0


def cosine(progress: float, *, end: float = 0.0) -> float:
    """Half a cosine wave from 1 down to `end`. Source: Loshchilov and Hutter 2017, without restarts."""
    return end + (1.0 - end) * (1.0 + math.cos(math.pi * progress)) / 2


def step(progress: float, *, drops: int = 2, factor: float = 0.1) -> float:
    """`drops` drops by `factor`, at equal distances."""
    return factor ** min(drops, math.floor(progress * (drops + 1) + 1e-9))


def one_cycle(progress: float, *, rise: float = 0.3, start: float = 0.04, end: float = 4e-6) -> float:
    """Up from `start` to 1 in the first part `rise`, then down to `end`, both along a cosine. Source: Smith 2018."""
    if progress < rise:
        return cosine(1.0 - progress / rise, end=start)
    return cosine((progress - rise) / (1.0 - rise), end=end)


SCHEDULES: dict[str, Callable[..., float]] = {
    "constant": constant,
    "cosine": cosine,
    "step": step,
    "one_cycle": one_cycle,
}


def check_schedule(name: str, options: dict[str, Any]) -> None:
    """Raise ValueError for an unknown schedule, TypeError for an option that it does not have."""
    if name not in SCHEDULES:
        raise ValueError(f"no learning-rate schedule is called {name!r}; there are {', '.join(SCHEDULES)}")
    known = list(inspect.signature(SCHEDULES[name]).parameters)[1:]
    if unknown := [option for option in options if option not in known]:
        has = f"it has {', '.join(known)}" if known else "it has none"
        raise TypeError(f"schedule '{name}' has no option {', '.join(map(repr, unknown))}; {has}")


def scheduler(optimizer: Optimizer, name: str, options: dict[str, Any], *, steps: int, warmup: float) -> LambdaLR:
    """The schedule over `steps` optimizer steps; the first `warmup` (below 1: that part of all) rise linearly."""
    rising = round(warmup * steps) if warmup < 1 else min(round(warmup), steps)
    shape = SCHEDULES[name]

    def factor(done: int) -> float:
        if done < rising:
            return (done + 1) / (rising + 1) * shape(0.0, **options)
        return shape(min(1.0, (done - rising) / max(1, steps - rising)), **options)

    return LambdaLR(optimizer, factor)
