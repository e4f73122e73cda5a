"""Data: sequences, batches, tables, files, calendars; sound and ink and their features; data sets."""

from carousel.data.alphabet import Alphabet
from carousel.data.atomic import atomic_path, write_atomically
from carousel.data.audio import SpeechFrontend
from carousel.data.batches import IGNORED_LABEL, Batch, Batches, IndexedBatches, SequenceBatches
from carousel.data.calendar import TimeIndex, calendar_features, fill_gaps, find_time, time_index
from carousel.data.errors import DataError
from carousel.data.feasibility import Infeasible, check_feasible, frames_needed, infeasible
from carousel.data.files import read, read_table, write_csv
from carousel.data.frequency import Frequency, infer_frequency
from carousel.data.frontend import Frontend, frontend_from_json
from carousel.data.ink import InkFrontend
from carousel.data.long import from_long, label_of_series, split_series
from carousel.data.normalization import SpeakerNormalization
from carousel.data.panel import Panel
from carousel.data.readers.folder import read_folder
from carousel.data.readers.labelled import Labelled
from carousel.data.sequences import Sequences, as_sequences
from carousel.data.streams import StreamBatches
from carousel.data.table import Table, as_table
from carousel.data.windows import Windows, last_windows

__all__ = [
    "IGNORED_LABEL",
    "Alphabet",
    "Batch",
    "Batches",
    "DataError",
    "Frequency",
    "Frontend",
    "IndexedBatches",
    "Infeasible",
    "InkFrontend",
    "Labelled",
    "Panel",
    "SequenceBatches",
    "Sequences",
    "SpeakerNormalization",
    "SpeechFrontend",
    "StreamBatches",
    "Table",
    "TimeIndex",
    "Windows",
    "as_sequences",
    "as_table",
    "atomic_path",
    "calendar_features",
    "check_feasible",
    "fill_gaps",
    "find_time",
    "frames_needed",
    "from_long",
    "frontend_from_json",
    "infeasible",
    "infer_frequency",
    "label_of_series",
    "last_windows",
    "read",
    "read_folder",
    "read_table",
    "split_series",
    "time_index",
    "write_atomically",
    "write_csv",
]
