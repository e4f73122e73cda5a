"""Ink: pen strokes, made alike, varied, joined to lines, and turned into features."""

from carousel.data.ink.features import InkFrontend
from carousel.data.ink.lines import joined
from carousel.data.ink.shape import deskewed, deslanted, resampled, resized, unlifted
from carousel.data.ink.strokes import Ink, as_ink
from carousel.data.ink.variation import InkVariation

__all__ = [
    "Ink",
    "InkFrontend",
    "InkVariation",
    "as_ink",
    "deskewed",
    "deslanted",
    "joined",
    "resampled",
    "resized",
    "unlifted",
]
