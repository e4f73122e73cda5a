"""The decoders in plain Python: what the compiled ones are held to, and what runs where there are none."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from carousel.decoding.hypothesis import Reals, common
from carousel.decoding.kneser_ney import BEGIN, END
from carousel.decoding.ngram import NGram

if TYPE_CHECKING:
    from carousel.decoding.prefix import PrefixBeam
    from carousel.decoding.words import TokenPassing

Labels = tuple[int, ...]
Span = tuple[int, int, float]
NEVER = -np.inf


@dataclass(frozen=True)
class Held:
    """Log-probabilities of a label sequence, by whether a blank or its last label ended it: summed over all
    alignments, and
    of the best one with the spans of its labels."""

    blank: float = NEVER
    label: float = NEVER
    best_blank: float = NEVER
    best_label: float = NEVER
    spans_blank: tuple[Span, ...] = ()
    spans_label: tuple[Span, ...] = ()

    @property
    def total(self) -> float:
        return float(np.logaddexp(self.blank, self.label))

    @property
    def best(self) -> tuple[float, tuple[Span, ...]]:
        blank = self.best_blank >= self.best_label
        return (self.best_blank, self.spans_blank) if blank else (self.best_label, self.spans_label)


class PrefixSearch:
    """Prefix beam search: all label sequences that are held, by themselves."""

    def __init__(self, decoder: "PrefixBeam") -> None:
        self._decoder, self._held, self._time = decoder, {(): Held(blank=0.0, best_blank=0.0)}, 0

    def push(self, frames: Reals) -> None:
        """Take the next frames, (frames, labels)."""
        for frame in frames:
            self._step([float(value) for value in frame])

    def _step(self, frame: list[float]) -> None:
        then: dict[Labels, Held] = {}
        for prefix, held in self._held.items():
            then[prefix] = self._stay(then.get(prefix, Held()), held, prefix, frame)
            for label in range(len(frame)):
                longer = (*prefix, label)
                if label != self._decoder.alphabet.blank and self._language(longer) is not None:
                    then[longer] = self._grow(then.get(longer, Held()), held, longer, frame)
        scored = [(held.total + (self._language(prefix) or 0.0), prefix) for prefix, held in then.items()]
        scored = sorted((pair for pair in scored if pair[0] > NEVER), key=lambda pair: -pair[0])
        self._held = {prefix: then[prefix] for _, prefix in scored[: self._decoder.beam]}
        self._time += 1

    def _stay(self, known: Held, held: Held, prefix: Labels, frame: list[float]) -> Held:
        """The same labels after a blank, or after their last one again."""
        silence = frame[self._decoder.alphabet.blank]
        best, spans = held.best
        known = replace(known, blank=held.total + silence, best_blank=best + silence, spans_blank=spans)
        if not prefix:
            return known
        last = frame[prefix[-1]]
        known = replace(known, label=float(np.logaddexp(known.label, held.label + last)))
        if held.best_label + last > known.best_label:
            *others, (start, _, peak) = held.spans_label
            spans = (*others, (start, self._time + 1, max(peak, last)))
            known = replace(known, best_label=held.best_label + last, spans_label=spans)
        return known

    def _grow(self, known: Held, held: Held, longer: Labels, frame: list[float]) -> Held:
        """One label more."""
        *prefix, label = longer
        again = bool(prefix) and prefix[-1] == label
        total, (best, spans) = (held.blank, (held.best_blank, held.spans_blank)) if again else (held.total, held.best)
        known = replace(known, label=float(np.logaddexp(known.label, total + frame[label])))
        if best + frame[label] > known.best_label:
            span = (self._time, self._time + 1, frame[label])
            known = replace(known, best_label=best + frame[label], spans_label=(*spans, span))
        return known

    def best(self, count: int, whole: bool) -> list[tuple[Any, ...]]:
        """Labels, starts, ends, peaks, acoustic and full score of the best."""
        found = []
        for prefix, held in self._held.items():
            language = self._language(prefix, whole=whole)
            if language is not None:
                starts, ends, peaks = zip(*held.best[1], strict=True) if prefix else ((), (), ())
                found.append((list(prefix), starts, ends, peaks, held.total, held.total + language))
        return sorted(found, key=lambda each: -each[-1])[:count]

    def stable(self) -> int:
        """How many first labels all have in common."""
        return common(list(self._held))

    def _language(self, prefix: Labels, *, whole: bool = False) -> float | None:
        """What language model and bonus add; None where no word goes on so."""
        decoder = self._decoder
        if decoder.words is None:
            words, allowed = [decoder.alphabet.symbol(label) for label in prefix], True
        else:
            words, allowed = self._words(prefix, whole)
        if not allowed:
            return None
        score = decoder.bonus * len(words)
        if decoder.language_model is not None:
            score += decoder.weight * _cost(decoder.language_model, words, whole=whole)
        return score

    def _words(self, prefix: Labels, whole: bool) -> tuple[list[str], bool]:
        """The words that have ended, and whether all of it is allowed."""
        decoder, plan = self._decoder, self._decoder.plan
        parts: list[list[int]] = [[]]
        for label in prefix:
            if label == plan.separator:
                parts.append([])
            else:
                parts[-1].append(label)
        done, open_word = (parts, []) if whole and prefix else (parts[:-1], parts[-1])
        spellings = plan.spellings or []
        allowed = all(done)
        if decoder.words == "known":
            allowed = allowed and all(word in spellings for word in done)
            allowed = allowed and any(word[: len(open_word)] == open_word for word in spellings)
        return [plan.words[spellings.index(word)] if word in spellings else "<unk>" for word in done], allowed


def _cost(model: NGram, words: list[str], *, whole: bool) -> float:
    """What words cost after each other and after the sentence's beginning, with its end if they are `whole` of it."""
    line = [word for word in (BEGIN,) if (word,) in model.entries[0]]
    begun = len(line)
    line += [*words, *(word for word in (END,) if whole and (word,) in model.entries[0])]
    return sum(model.log_probability(line[at], line[:at]) for at in range(begun, len(line)))


def align(frames: Reals, labels: Sequence[int], blank: int) -> tuple[float, list[int], list[int], list[float]]:
    """The best alignment of labels: its score, and start, end and peak of each; -inf and nothing where there is
    none."""
    places = [blank, *(each for label in labels for each in (label, blank))]
    ways: list[tuple[float, tuple[int, ...]]] = [(0.0, ())] + [(NEVER, ())] * (len(places) - 1)
    for t, frame in enumerate(frames):
        before = ways
        ways = []
        for at, symbol in enumerate(places):
            steps = [0, 1] if t else [at] if at < 2 else []
            skips = at > 1 and symbol != blank and symbol != places[at - 2]
            steps += [2] if t and skips else []
            score, way = max((before[at - step] for step in steps if step <= at), default=(NEVER, ()))
            ways.append((score + float(frame[symbol]), (*way, at)))
    score, way = max(ways[-2:]) if len(frames) else ((0.0, ()) if not labels else (NEVER, ()))
    if score == NEVER:
        return NEVER, [], [], []
    runs = [[t for t, at in enumerate(way) if at == 2 * number + 1] for number in range(len(labels))]
    peaks = [max(float(frames[t, label]) for t in run) for run, label in zip(runs, labels, strict=True)]
    return score, [run[0] for run in runs], [run[-1] + 1 for run in runs], peaks


@dataclass(frozen=True)
class Token:
    """One way to stand at a place of a word: its score, and number and first frame of each word until there."""

    score: float = NEVER
    words: tuple[tuple[int, int], ...] = ()


def pass_tokens(frames: Reals, decoder: "TokenPassing") -> tuple[float, list[int], list[int], list[int]]:
    """Token passing (Graves 2008): the best sentence's score, and number, start and end of each word."""
    blank, separator = decoder.alphabet.blank, decoder.separator
    spelt = [[*([] if separator < 0 else [separator]), *word] for word in decoder.spellings]
    tokens = [[(Token(), Token()) for _ in word] for word in spelt]
    silence = 0.0
    for t, frame in enumerate(frames):
        exits = [token for word in tokens for token in word[-1] if token.score > NEVER]
        closed = [word[-1][0] for word in tokens]
        after = []
        for number, word in enumerate(spelt):
            allowed = [
                each for each in exits if not any(each is c and spelt[at][-1] == word[0] for at, c in enumerate(closed))
            ]
            entries = [
                Token(each.score + _word_cost(decoder, each, number), (*each.words, (number, t))) for each in allowed
            ]
            first = Token(silence + _word_cost(decoder, Token(), number), ((number, t),))
            after.append(
                _advance(tokens[number], word, [float(each) for each in frame], blank, (entries, first, separator))
            )
        tokens = after
        silence += float(frame[blank])
    last = [Token(silence), *(token for word in tokens for token in word[-1])]
    scored = [(token.score + _end_cost(decoder, token), token.words) for token in last]
    score, words = max(scored, key=lambda each: each[0])
    starts = [start for _, start in words]
    return score, [number for number, _ in words], starts, [*starts[1:], len(frames)][: len(words)]


def _advance(
    tokens: list[tuple[Token, Token]],
    word: list[int],
    frame: list[float],
    blank: int,
    entering: tuple[list[Token], Token, int],
) -> list[tuple[Token, Token]]:
    """The tokens at each label of a word and at the blank behind it, one frame later."""
    entries, first, separator = entering
    after = []
    for at, label in enumerate(word):
        here, quiet = tokens[at]
        ways = [here] if at == 0 else [here, tokens[at - 1][1]]
        ways += entries if at == 0 else [tokens[at - 1][0]] if label != word[at - 1] else []
        ways += [first] if at == (separator >= 0) else []
        best = max(ways, key=lambda token: token.score)
        waited = max(here, quiet, key=lambda token: token.score)
        after.append(
            (replace(best, score=best.score + frame[label]), replace(waited, score=waited.score + frame[blank]))
        )
    return after


def _word_cost(decoder: "TokenPassing", token: Token, number: int) -> float:
    model = decoder.language_model
    if model is None:
        return decoder.bonus
    context = [decoder.dictionary_words[token.words[-1][0]]] if token.words else [BEGIN]
    return decoder.bonus + decoder.weight * model.log_probability(decoder.dictionary_words[number], context)


def _end_cost(decoder: "TokenPassing", token: Token) -> float:
    model = decoder.language_model
    if model is None or (END,) not in model.entries[0]:
        return 0.0
    context = [decoder.dictionary_words[token.words[-1][0]]] if token.words else [BEGIN]
    return decoder.weight * model.log_probability(END, context)
