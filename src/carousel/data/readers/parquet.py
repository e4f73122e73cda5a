"""Tables from Parquet files (the extra `frames`)."""

import importlib.util
from pathlib import Path
from typing import Any

from carousel.data.errors import DataError
from carousel.data.table import Table, as_table


def read_parquet(path: Path) -> Table:
    """Return a Parquet file as a table, through pyarrow or polars.

    Raises ImportError, naming the extra, when neither is installed, and DataError for a file that is truncated, is no
    Parquet, or has no rows.
    """
    with path.open("rb") as stream:
        head = stream.read(4)
    if head != b"PAR1":
        raise DataError(f"{path} is not a Parquet file: it does not begin with PAR1")
    return as_table(_load(path), str(path))


def _load(path: Path) -> Any:
    if importlib.util.find_spec("pyarrow") is not None:
        import pyarrow as pa
        import pyarrow.parquet as pq

        return _guarded(lambda: pq.read_table(path), (pa.ArrowException, OSError), path)
    if importlib.util.find_spec("polars") is not None:
        import polars as pl

        return _guarded(lambda: pl.read_parquet(path), (pl.exceptions.PolarsError, OSError), path)
    raise ImportError("Parquet files need the extra `frames`: pip install carousel-lstm[frames]")


def _guarded(load: Any, faults: tuple[type[Exception], ...], path: Path) -> Any:
    try:
        return load()
    except faults as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} is truncated or damaged: {reason}; write or copy it again") from None
