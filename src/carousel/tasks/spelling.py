"""Texts, and lists of symbols, as labels of an alphabet."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from carousel.data import Alphabet, DataError

Text = str | list[str]


def texts_of(y: Any) -> list[Text]:
    """y as texts and lists of symbols. Raises ValueError, naming the sample, for anything else."""
    if isinstance(y, str):
        raise ValueError("y is one text; give a list with a text, or a list of symbols, for each sample")
    return [_text(item, place) for place, item in enumerate(y)]


def _text(item: Any, place: int) -> Text:
    if isinstance(item, str):
        return str(item)
    symbols = item.tolist() if isinstance(item, np.ndarray) else item
    if isinstance(symbols, list | tuple) and all(isinstance(symbol, str) for symbol in symbols):
        return [str(symbol) for symbol in symbols]
    raise ValueError(f"y of sample {place} is {item!r:.60}; give a text, or a list of symbols that are texts")


def alphabet_of(given: Alphabet | str | None, texts: Sequence[Text]) -> Alphabet:
    """The alphabet that was given, or that of all symbols in the texts.

    Symbols of lists that are longer than a character are divided by " ".
    Raises DataError where there is no symbol at all.
    """
    if isinstance(given, Alphabet):
        found = given
    elif given is not None:
        found = Alphabet.of([given])
    else:
        found = _alphabet_in(texts)
    if not found.symbols:
        raise DataError("there is no symbol to write: all texts are empty; give y with texts, or an alphabet")
    return found


def _alphabet_in(texts: Sequence[Text]) -> Alphabet:
    listed = {symbol for text in texts if isinstance(text, list) for symbol in text}
    written = Alphabet.of(text for text in texts if isinstance(text, str))
    plain = Alphabet(())
    long = any(len(plain.normalize(symbol)) > 1 for symbol in listed)
    if long and written.symbols:
        raise DataError("y has texts in some samples and lists of longer symbols in others; make them all of one kind")
    symbols = {*written.symbols, *map(plain.normalize, listed)}
    return Alphabet(tuple(sorted(symbols)), separator=" " if long else None)


def labels_of(texts: Sequence[Text], alphabet: Alphabet, names: Sequence[object]) -> list[list[int]]:
    """The labels of each text. Raises DataError that lists all samples that the alphabet cannot spell, by name."""
    found, refused = [], []
    for text, name in zip(texts, names, strict=True):
        try:
            found.append(_labels(text, alphabet, name))
        except DataError as error:
            refused.append(str(error))
    if refused:
        raise DataError("\n".join(refused))
    return found


def _labels(text: Text, alphabet: Alphabet, name: object) -> list[int]:
    if isinstance(text, str):
        return alphabet.encode(text, name)
    return [label for symbol in text for label in alphabet.encode(symbol, name)]


def normalized(text: Text, alphabet: Alphabet) -> str:
    """A truth as the alphabet would write it, whether or not it has all symbols."""
    if isinstance(text, str):
        text = alphabet.normalize(text)
        return text if alphabet.separator is None else alphabet.separator.join(symbols_of(text, alphabet))
    return (alphabet.separator or "").join(map(alphabet.normalize, text))


def symbols_of(text: str, alphabet: Alphabet) -> list[str]:
    """What error rates count: characters, or symbols where the alphabet divides them."""
    if alphabet.separator is None:
        return list(text)
    return [symbol for symbol in text.split(alphabet.separator) if symbol]
