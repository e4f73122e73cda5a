"""Data: sequences, batches, windows, tables, files, calendars and the data sets that the package ships."""

from carousel.data.batches import IGNORED_LABEL, Batch, Batches, IndexedBatches, SequenceBatches
from carousel.data.errors import DataError
from carousel.data.sequences import Sequences, as_sequences

__all__ = [
    "IGNORED_LABEL",
    "Batch",
    "Batches",
    "DataError",
    "IndexedBatches",
    "SequenceBatches",
    "Sequences",
    "as_sequences",
]
