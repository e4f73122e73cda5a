"""What can be written: the symbols of a transcription, and the one place that knows which output of a network is
which."""

import json
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence, Set
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any, Self

from carousel.data.atomic import write_atomically
from carousel.data.errors import DataError

CASES = {"keep": str, "lower": str.lower, "upper": str.upper, "fold": str.casefold}
FORMS = ("NFC", "NFKC", "NFD", "NFKD")
_SHOWN = 10


@dataclass(frozen=True)
class Alphabet:
    """The symbols that a network writes, and the blank by which it writes nothing.

    A label is an output's place: the blank's is `blank`, the symbols fill the other places in their order.

    Args:
        symbols: each once, in order. Longer ones than a character, such as "sch", are found before shorter ones.
        separator: what stands between the symbols of a text: None where it is nothing, " " for phonemes such as
            "s p iy".
        unknown: the symbol that stands for whatever else a text holds; None refuses such a text.
        case: "keep", "lower", "upper" or "fold", applied to every text.
        form: Unicode's form, applied to symbols and texts, so that an accent written in two ways is one symbol.
        blank: the label of the blank: 0 as in torch, the last as in TensorFlow and Keras.

    Raises DataError for symbols that are empty, there twice, or lost by the normalisation.
    """

    symbols: tuple[str, ...]
    separator: str | None = None
    unknown: str | None = None
    case: str = "keep"
    form: str = "NFC"
    blank: int = 0

    _labels: dict[str, int] = field(init=False, repr=False, compare=False)
    _pattern: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        for name, value, known in (("case", self.case, tuple(CASES)), ("form", self.form, FORMS)):
            if value not in known:
                raise DataError(f"{name} is {value!r}; it can be {', '.join(known)}")
        if isinstance(self.symbols, Set):
            raise DataError("symbols are a set, which has no order; give a list, such as sorted(symbols)")
        object.__setattr__(self, "symbols", tuple(self.symbols))
        if self.separator is not None and (not isinstance(self.separator, str) or not self.separator):
            raise DataError(f"separator is {self.separator!r}; give a text, or None where nothing stands between")
        self._check_symbols()
        if not isinstance(self.blank, int) or isinstance(self.blank, bool):
            raise DataError(f"blank is {self.blank!r}; it is a label, a whole number")
        if not 0 <= self.blank <= len(self.symbols):
            raise DataError(f"blank is {self.blank}; it is a label from 0 to {len(self.symbols)}")
        places = [label for label in range(len(self)) if label != self.blank]
        object.__setattr__(self, "_labels", dict(zip(self.symbols, places, strict=True)))
        longest_first = sorted(self.symbols, key=len, reverse=True)
        object.__setattr__(self, "_pattern", re.compile("|".join([*map(re.escape, longest_first), "."]), re.DOTALL))

    @classmethod
    def of(cls, texts: Iterable[str], **options: Any) -> Self:
        """The alphabet of all symbols in these texts, in Unicode's order; the options are those of the class."""
        empty = cls((), **{**options, "unknown": None, "blank": 0})
        listed = (_checked(text, f"text {number}") for number, text in enumerate(texts))
        found = {symbol for text in listed for symbol in empty._split(empty.normalize(text))}
        unknown = options.get("unknown")
        return cls(tuple(sorted(found - {unknown})) + (() if unknown is None else (unknown,)), **options)

    def __len__(self) -> int:
        """How many labels there are: outputs of a network, the blank among them."""
        return len(self.symbols) + 1

    def normalize(self, text: str) -> str:
        """The text in Unicode's form and in the alphabet's case."""
        form: Any = self.form
        return unicodedata.normalize(form, CASES[self.case](unicodedata.normalize(form, text)))

    def spell(self, text: str) -> list[str]:
        """The symbols of a text, as a language model of symbols counts them. Raises DataError as `encode` does."""
        return [self.symbol(label) for label in self.encode(text)]

    def encode(self, text: str, sample: object = None) -> list[int]:
        """The labels of a text. Raises DataError, naming the `sample`, for what the alphabet cannot spell."""
        where = "the text" if sample is None else f"sample {sample}"
        symbols = self._split(self.normalize(_checked(text, where)))
        if self.unknown is not None:
            return [self._labels.get(symbol, self._labels[self.unknown]) for symbol in symbols]
        strange = [symbol for symbol in dict.fromkeys(symbols) if symbol not in self._labels]
        if strange:
            raise DataError(
                f"{where} has {', '.join(_named(symbol) for symbol in strange[:_SHOWN])}, which the alphabet of "
                f"{len(self.symbols)} symbols does not have, in {_shortened(text)}; add it to the symbols, name an "
                "unknown= symbol, or mend the text"
            )
        return [self._labels[symbol] for symbol in symbols]

    def encode_all(self, texts: Sequence[str], names: Sequence[object] | None = None) -> list[list[int]]:
        """The labels of each text. Raises DataError that lists all samples that cannot be spelt, by name or number."""
        encoded, refused = [], []
        for at, text in enumerate(texts):
            try:
                encoded.append(self.encode(text, at if names is None else names[at]))
            except DataError as error:
                refused.append(str(error))
        if refused:
            raise DataError("\n".join(refused))
        return encoded

    def symbol(self, label: int) -> str:
        """The symbol of a label. Raises DataError for the blank and for what is no label."""
        if label == self.blank or not 0 <= label < len(self):
            what = "the blank, which stands for nothing" if label == self.blank else "no label"
            raise DataError(f"{label} is {what}; the alphabet's labels go from 0 to {len(self) - 1}")
        return self.symbols[label - (label > self.blank)]

    def text(self, labels: Iterable[int]) -> str:
        """The text that these labels spell: the inverse of `encode` for normalised texts."""
        return (self.separator or "").join(self.symbol(int(label)) for label in labels)

    def collapse(self, path: Iterable[int]) -> list[int]:
        """The labels that a network means by one label a frame: repeated ones once, then without blanks."""
        return [int(label) for label, _ in groupby(path) if label != self.blank]

    def to_json(self) -> dict[str, Any]:
        """All that makes the alphabet, as JSON holds it."""
        return {name: value for name, value in asdict(self).items() if not name.startswith("_")}

    @classmethod
    def from_json(cls, value: Any) -> Self:
        """The alphabet that `to_json` wrote. Raises DataError for anything else."""
        kinds = {
            "symbols": list | tuple,
            "separator": str | None,
            "unknown": str | None,
            "case": str,
            "form": str,
            "blank": int,
        }
        if not isinstance(value, dict) or set(value) != set(kinds):
            raise DataError(f"this is no alphabet: it has to hold {', '.join(kinds)}")
        wrong = [name for name, kind in kinds.items() if not isinstance(value[name], kind)]
        if wrong or not all(isinstance(symbol, str) for symbol in value["symbols"]):
            raise DataError(f"this is no alphabet: {', '.join(wrong or ['symbols'])} is of the wrong kind")
        return cls(**value)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the alphabet as JSON, whole or not at all."""
        write_atomically(Path(path), json.dumps(self.to_json(), ensure_ascii=False, indent=1).encode() + b"\n")

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote. Raises DataError, naming the file, where it is something else."""
        try:
            return cls.from_json(json.loads(Path(path).read_text(encoding="utf-8")))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}: {error}") from None

    def _split(self, text: str) -> list[str]:
        """The text's symbols, known or not."""
        if self.separator is None:
            return self._pattern.findall(text)
        return text.split() if self.separator == " " else [part for part in text.split(self.separator) if part]

    def _check_symbols(self) -> None:
        for symbol in self.symbols:
            if not isinstance(symbol, str) or not symbol:
                raise DataError(f"{symbol!r} is no symbol; give text of one character or more")
            if any("\ud800" <= character <= "\udfff" for character in symbol):
                raise DataError(f"symbol {symbol!r} holds half of a character, which no file can hold; mend the text")
            if self.normalize(symbol) != symbol and symbol != self.unknown:
                raise DataError(
                    f"symbol {_named(symbol)} becomes {_named(self.normalize(symbol))} by case={self.case!r} and "
                    f"form={self.form!r}, so that no text would hold it; give it in that form"
                )
            if self.separator is not None and (
                self.separator in symbol or (self.separator == " " and symbol.split() != [symbol])
            ):
                raise DataError(f"symbol {symbol!r} holds the separator {self.separator!r}")
        if len(set(self.symbols)) < len(self.symbols):
            twice = [symbol for symbol in dict.fromkeys(self.symbols) if self.symbols.count(symbol) > 1]
            raise DataError(f"symbols hold {', '.join(map(_named, twice[:_SHOWN]))} more than once; give each once")
        if self.unknown is not None and self.unknown not in self.symbols:
            raise DataError(f"unknown is {self.unknown!r}, which is not among the symbols; add it")


def _checked(text: Any, what: str) -> str:
    """A text. Raises DataError, naming what it is of, for anything else."""
    if not isinstance(text, str):
        raise DataError(f"{what} is {text!r:.60}; give a text")
    return text


def _named(symbol: str) -> str:
    """A symbol as it is and, if it is one character that may not be seen, by its number."""
    return repr(symbol) if len(symbol) != 1 or symbol.isascii() else f"{symbol!r} (U+{ord(symbol):04X})"


def _shortened(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
