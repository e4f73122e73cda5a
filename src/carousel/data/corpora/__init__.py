"""Recordings and ink that others publish: fetched when asked for, checked, and read."""

from carousel.data.corpora.asterisk import spoken_digits, spoken_words
from carousel.data.corpora.espeak import Voice, spoken
from carousel.data.corpora.festvox import Utterance, festvox_ru, festvox_sample
from carousel.data.corpora.hershey import hershey_fonts, written
from carousel.data.corpora.pendigits import PenDigits, digit_strings, pendigits
from carousel.data.corpora.sources import SOURCES, Source, fetch, folder_of

__all__ = [
    "SOURCES",
    "PenDigits",
    "Source",
    "Utterance",
    "Voice",
    "digit_strings",
    "festvox_ru",
    "festvox_sample",
    "fetch",
    "folder_of",
    "hershey_fonts",
    "pendigits",
    "spoken",
    "spoken_digits",
    "spoken_words",
    "written",
]
