"""The complete LSTM as software: public names, imported when they are first used."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from carousel.cells import Cell, Complement, Gate, Open, citation, equations
    from carousel.data import Sequences, as_sequences, from_long
    from carousel.nn import LSTM, LSTMCell
    from carousel.tasks import (
        Controller,
        Forecaster,
        KeywordSpotter,
        SequenceClassifier,
        SequenceLabeler,
        SequenceRegressor,
        Transcriber,
        load,
    )

    __version__: str

_ROOM_OF = {
    "Cell": "cells",
    "Complement": "cells",
    "Gate": "cells",
    "Open": "cells",
    "citation": "cells",
    "equations": "cells",
    "Sequences": "data",
    "as_sequences": "data",
    "from_long": "data",
    "LSTM": "nn",
    "LSTMCell": "nn",
    "Controller": "tasks",
    "Forecaster": "tasks",
    "KeywordSpotter": "tasks",
    "SequenceClassifier": "tasks",
    "SequenceLabeler": "tasks",
    "SequenceRegressor": "tasks",
    "Transcriber": "tasks",
    "load": "tasks",
}
_ROOMS = ("cells", "data", "decoding", "metrics", "nn", "ops", "report", "tasks", "training")

__all__ = [
    "LSTM",
    "Cell",
    "Complement",
    "Controller",
    "Forecaster",
    "Gate",
    "KeywordSpotter",
    "LSTMCell",
    "Open",
    "SequenceClassifier",
    "SequenceLabeler",
    "SequenceRegressor",
    "Sequences",
    "Transcriber",
    "__version__",
    "as_sequences",
    "citation",
    "equations",
    "from_long",
    "load",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return import_module("importlib.metadata").version("carousel-lstm")
    if name in _ROOM_OF:
        return getattr(import_module(f"carousel.{_ROOM_OF[name]}"), name)
    if name in _ROOMS:
        return import_module(f"carousel.{name}")
    raise AttributeError(f"module 'carousel' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_ROOMS})
