"""The shipped data sets are whole and regular."""

import numpy as np
import pytest

from carousel.data import datasets, find_time, time_index


@pytest.mark.parametrize(
    ("name", "rows", "missing", "total", "step"),
    [("co2", 2284, 59, 756816.5, "week"), ("seattle", 8760, 1, 455713.5, "hour")],
)
def test_data_set(name: str, rows: int, missing: int, total: float, step: str) -> None:
    table = datasets.load(name)
    values = table.numbers([table.names[1]])[:, 0]
    assert len(table) == rows
    assert np.isnan(values).sum() == missing
    assert np.nansum(values) == pytest.approx(total)
    column = find_time(table)
    assert column is not None and column == table.names[0]
    assert str(time_index(table, column).frequency) == step


def test_unknown_name() -> None:
    with pytest.raises(ValueError, match="no data set 'c02'; it can be 'co2', 'seattle'"):
        datasets.load("c02")
