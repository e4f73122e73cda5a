"""Decoders: from a network's probabilities, frame by frame, to what was said or written."""

from carousel.decoding.best_path import BestPathStream, align, best_path
from carousel.decoding.hypothesis import DecodingError, Hypothesis, Partial, Symbols, Written
from carousel.decoding.keywords import KeywordSearch
from carousel.decoding.ngram import NGram
from carousel.decoding.prefix import PrefixBeam, PrefixStream
from carousel.decoding.transducer import Network, TransducerBeam, TransducerGreedy
from carousel.decoding.words import TokenPassing

__all__ = [
    "BestPathStream",
    "DecodingError",
    "Hypothesis",
    "KeywordSearch",
    "NGram",
    "Network",
    "Partial",
    "PrefixBeam",
    "PrefixStream",
    "Symbols",
    "TokenPassing",
    "TransducerBeam",
    "TransducerGreedy",
    "Written",
    "align",
    "best_path",
]
