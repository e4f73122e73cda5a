"""Series with their targets, from a file or a folder."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import is_regressor

from carousel.data import (
    DataError,
    Labelled,
    Sequences,
    Table,
    as_sequences,
    from_long,
    label_of_series,
    read,
    read_folder,
    split_series,
)
from carousel.data.long import names_of
from carousel.tasks import SequenceLabeler


@dataclass(frozen=True)
class ExampleColumns:
    """How a file or folder of series is read."""

    path: str | None = field(default=None, metadata={"help": "the data: a file, or a folder of sequence files"})
    label: str | None = field(default=None, metadata={"help": "column with the class or number to learn"})
    series: str | None = field(default=None, metadata={"help": "column that names the series a row belongs to"})
    time: str | None = field(default=None, metadata={"help": "column of times; checked, and not a feature"})
    ignore: tuple[str, ...] = field(default=(), metadata={"help": "columns that are no features"})
    test: str | None = field(default=None, metadata={"help": "held-out data: another file or folder"})
    test_fraction: float = field(
        default=0.2, metadata={"help": "share of the series held out where there is no test data"}
    )


@dataclass(frozen=True, eq=False)
class Examples:
    """Series and their targets: one a series, or one array (time,) a series."""

    sequences: Sequences
    targets: Any
    source: str

    def __len__(self) -> int:
        return len(self.sequences)

    def take(self, chosen: Any) -> "Examples":
        """These examples alone."""
        targets = [self.targets[i] for i in chosen] if isinstance(self.targets, list) else self.targets[chosen]
        return Examples(self.sequences.take(chosen), targets, self.source)


def read_examples(path: str | Path, columns: ExampleColumns, estimator: Any) -> Examples:
    """Series with targets. Raises DataError where there are none, or where they are no numbers for a regressor."""
    found = _read(Path(path), columns, per_step=isinstance(estimator, SequenceLabeler))
    if found.labels is None:
        raise DataError(
            f"{found.source} has no labels; name their column by --label, or see `carousel fit classify --help`"
        )
    targets = _numbers(found) if is_regressor(estimator) else found.labels
    return Examples(found.sequences, targets, found.source)


def read_inputs(path: str | Path, columns: ExampleColumns, estimator: Any) -> Sequences:
    """Series alone: the columns that the estimator was fitted on, in their order, whatever else a table has."""
    place = Path(path)
    unlabelled = tuple(name for name in (columns.label, columns.time, *columns.ignore) if name)
    if place.is_dir():
        return read_folder(place, drop=unlabelled).sequences
    found = read(place)
    if isinstance(found, Labelled):
        return found.sequences
    known = getattr(estimator, "feature_names_in_", None)
    if columns.series is None and not isinstance(estimator, SequenceLabeler):
        return _wide(found.drop(unlabelled))
    return from_long(found, series=columns.series, time=columns.time, columns=known, nan="error", dtype=np.float64)


def _read(path: Path, columns: ExampleColumns, per_step: bool) -> Labelled:
    if path.is_dir():
        drop = columns.ignore if columns.time is None else (*columns.ignore, columns.time)
        return read_folder(path, step_label=columns.label if per_step else None, drop=drop)
    found = read(path)
    if isinstance(found, Labelled):
        return found
    found = found.drop(columns.ignore)
    if columns.label is None:
        raise DataError(f"{path} is a table: name the column to learn by --label; it has {', '.join(found.names)}")
    found.column(columns.label)
    if per_step:
        return _steps(found, columns, columns.label)
    return _rows(found, columns, columns.label) if columns.series is None else _long(found, columns, columns.label)


def _long(table: Table, columns: ExampleColumns, label: str) -> Labelled:
    """One series for each name in the series column, one label a series."""
    labels = label_of_series(table, columns.series or "", label)
    sequences = from_long(table.drop([label]), series=columns.series, time=columns.time, dtype=np.float64)
    return Labelled(sequences, np.array([labels[name] for name in sequences.ids]), table.source)


def _steps(table: Table, columns: ExampleColumns, label: str) -> Labelled:
    """One label a row."""
    sequences = from_long(table.drop([label]), series=columns.series, time=columns.time, dtype=np.float64)
    parts = [names_of(part, label) for part in split_series(table, columns.series).values()]
    for name, part in zip(sequences.ids, parts, strict=True):
        if "" in part:
            raise DataError(f"series {name!r} of {table.source} has no {label!r} at step {part.index('')}; fill it")
    return Labelled(sequences, [np.array(part) for part in parts], table.source)


def _rows(table: Table, columns: ExampleColumns, label: str) -> Labelled:
    """One univariate series a row."""
    labels = names_of(table, label)
    if "" in labels:
        raise DataError(f"column {label!r} of {table.source} is empty at {table.place(labels.index(''))}; fill it")
    return Labelled(_wide(table.drop([label, columns.time or label])), np.array(labels), table.source)


def _wide(table: Table) -> Sequences:
    return replace(as_sequences(table.numbers(table.names), what=table.source, dtype=np.float64), width=None)


def _numbers(found: Labelled) -> Any:
    try:
        return np.asarray(found.labels, dtype=np.float64)
    except ValueError as error:
        raise DataError(
            f"the labels of {found.source} are no numbers ({error}); `carousel fit classify` learns classes"
        ) from None
