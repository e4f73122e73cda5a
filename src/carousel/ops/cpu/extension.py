"""The compiled extension, if it was built."""

from importlib import import_module
from typing import Any


def _load() -> tuple[Any, str | None]:
    """The module, or why there is none."""
    try:
        return import_module("carousel.ops.cpu._cpu"), None
    except ImportError as error:
        return None, f"the compiled extension is not there ({error}); install carousel where there is a C++ compiler"


module, missing = _load()
