"""Data: sequences, batches, windows, tables, files, calendars and the data sets that the package ships."""

from carousel.data.batches import IGNORED_LABEL, Batch, Batches, IndexedBatches, SequenceBatches
from carousel.data.errors import DataError
from carousel.data.panel import Panel
from carousel.data.sequences import Sequences, as_sequences
from carousel.data.windows import Windows, last_windows

__all__ = [
    "IGNORED_LABEL",
    "Batch",
    "Batches",
    "DataError",
    "IndexedBatches",
    "Panel",
    "SequenceBatches",
    "Sequences",
    "Windows",
    "as_sequences",
    "last_windows",
]
