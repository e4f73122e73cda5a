"""A forecaster that goes on learning: the next rows of its series, joined to those that it has seen last."""

from dataclasses import replace

import numpy as np

from carousel.data import DataError, Windows
from carousel.tasks.forecasting.history import History
from carousel.tasks.forecasting.preparation import Preparation


def joined(seen: History, fresh: History) -> History:
    """The rows that were seen last, and the next ones of the same series after them.

    Raises DataError for other series or columns, and where covariates or dates would have to go on, too.
    """
    if any(part is not None for one in (seen, fresh) for part in (one.past, one.future, one.static, one.times)):
        raise DataError("partial_fit goes on with series alone; with covariates or dates, fit anew")
    for what, before, now in (("series", seen.ids, fresh.ids), ("columns", seen.target_names, fresh.target_names)):
        if before != now:
            raise DataError(
                f"the {what} are {', '.join(map(repr, now))}, but they were {', '.join(map(repr, before))}; "
                "give the next rows of the same ones"
            )
    rows = [np.concatenate(pair) for pair in zip(seen.targets, fresh.targets, strict=True)]
    return replace(seen, targets=rows)


def new_windows(history: History, preparation: Preparation, shape: tuple[int, int], batch_size: int) -> Windows | None:
    """All windows of a context and a horizon; None while a series is too short for one.

    Where no more than context + horizon - 1 rows were seen before, each of them ends in a new row.
    """
    if history.lengths.min() < sum(shape):
        return None
    return Windows(preparation.panel(history), *shape, batch_size=batch_size, shuffle=False)
