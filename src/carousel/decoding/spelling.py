"""Words and their symbols, for all decoders that know words."""

from collections.abc import Mapping, Sequence

from carousel.decoding.hypothesis import DecodingError, Symbols, Written


def spell(alphabet: Symbols, words: Sequence[str] | Mapping[str, str]) -> list[list[int]]:
    """The labels of each word, or of its spelling where one is given.

    Raises DecodingError for a word that has none or that the alphabet cannot spell.
    """
    spellings = []
    for word in words.values() if isinstance(words, Mapping) else words:
        try:
            labels = alphabet.encode(word)
        except ValueError as error:
            raise DecodingError(f"the dictionary has {word!r}: {error}") from None
        if not labels:
            raise DecodingError(f"the dictionary has {word!r}, which has no symbols")
        spellings.append(labels)
    if not spellings:
        raise DecodingError("the dictionary is empty; give at least one word")
    return spellings


def separator_of(alphabet: Symbols) -> int:
    """The label of " ". Raises DecodingError if the alphabet has none."""
    for label in range(len(alphabet)):
        if label != alphabet.blank and alphabet.symbol(label) == " ":
            return label
    raise DecodingError("words are told apart by the symbol ' ', which this alphabet does not have; add it")


def join(symbols: Sequence[Written]) -> Written:
    """Symbols as one word, as sure as the least sure of them."""
    text, least = "".join(each.symbol for each in symbols), min(each.confidence for each in symbols)
    return Written(text, symbols[0].start, symbols[-1].end, least)
