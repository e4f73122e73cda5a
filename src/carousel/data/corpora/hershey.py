"""Pen strokes of the Hershey fonts (National Bureau of Standards, 1967): words as a pen plotter writes them."""

from functools import lru_cache
from importlib import import_module
from typing import Any

from carousel.data.errors import DataError
from carousel.data.ink.strokes import Ink, as_ink


def written(text: str, font: str = "scripts") -> Ink:
    """A text in a font's strokes, y upwards.

    Raises ImportError without the extra `ink`, DataError for another font or a text without strokes.
    """
    known = hershey_fonts()
    if font not in known:
        raise DataError(f"there is no Hershey font {font!r}; there are {', '.join(known)}")
    strokes = [[*stroke] for stroke in _font(font).strokes_for_text(text)]
    if not strokes:
        raise DataError(f"{text!r:.60} has no strokes in the font {font}")
    return as_ink(strokes, down=True, what=repr(text))


def hershey_fonts() -> list[str]:
    """The names of the fonts."""
    return sorted(_package().HersheyFonts().default_font_names)


@lru_cache(maxsize=32)
def _font(name: str) -> Any:
    font = _package().HersheyFonts()
    font.load_default_font(name)
    return font


def _package() -> Any:
    try:
        return import_module("HersheyFonts")
    except ImportError:
        raise ImportError("Hershey fonts need a package: pip install 'carousel-lstm[ink]'") from None
