"""Features made alike over speakers or writers: who is known from training, and what becomes of those who are not."""

import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from carousel.data import DataError, Sequences, SpeakerNormalization
from carousel.data.normalization import Level

NORMALIZE = ("all", "speaker", "sample")
UNSEEN = ("own", "all")


class SpeakerWarning(UserWarning):
    """Somebody speaks whom training did not hear; the message says how their features are scaled."""


def with_speakers(sequences: Sequences, speakers: Sequence[str | None] | None) -> Sequences:
    """Sequences that know who speaks in each: a name, or None. Raises DataError for another number of names."""
    if speakers is None:
        return sequences
    if isinstance(speakers, str) or len(speakers) != len(sequences):
        raise DataError(f"speakers are {len(speakers)} for {len(sequences)} recordings; give a name, or None, for each")
    return replace(sequences, speakers=tuple(None if not name else str(name) for name in speakers))


def learned(sequences: Sequences) -> SpeakerNormalization:
    """The levels of everyone and of each named speaker of a training set.

    Raises DataError where nobody is named.
    """
    named = _by_name(sequences)
    if not named:
        raise DataError(
            "normalize='speaker' needs to know who speaks in each recording: give X as features(X, speakers=[...]), or "
            "a column of the manifest"
        )
    found = SpeakerNormalization.of(sequences.values)
    for name, own in named.items():
        found = found.with_speaker(name, own)
    return found


def by_speaker(sequences: Sequences, known: SpeakerNormalization, unseen: str) -> Sequences:
    """Features scaled by their speakers' levels; those of samples without a name by everyone's.

    unseen: whether a speaker that training did not hear is scaled by "own", all that is here, or by "all".
    """
    named = _by_name(sequences)
    strangers = [name for name in named if name not in known.speakers]
    if strangers:
        _say(strangers, [len(named[name]) for name in strangers], unseen)
    for name in strangers if unseen == "own" else ():
        known = known.with_speaker(name, named[name])
    names = sequences.speakers or (None,) * len(sequences)
    values = [known.apply(value, name) for value, name in zip(sequences.values, names, strict=True)]
    return replace(sequences, values=values, speakers=None)


def by_sample(sequences: Sequences) -> Sequences:
    """Features scaled to mean 0 and deviation 1 within each sample."""
    values = [SpeakerNormalization(Level.of([value])).apply(value) for value in sequences.values]
    return replace(sequences, values=values, speakers=None)


def level_in_stream(
    normalize: str, known: SpeakerNormalization | None, unseen: str, speaker: str | None
) -> Level | None:
    """What scales a stream of that speaker before anything of it is heard; None for nothing.

    Raises ValueError where only the whole recording could tell.
    """
    if normalize == "sample":
        raise ValueError(
            "this transcriber scales each recording by its own mean and deviation (normalize='sample'), which nobody "
            "knows before its end; fit one with normalize='all' or 'speaker', or use transcribe"
        )
    if known is None or speaker is None:
        return None if known is None else known.everyone
    if speaker not in known.speakers and unseen == "own":
        raise ValueError(
            f"speaker {speaker!r} was not heard in training, and a stream has no recordings of theirs; give some to "
            "add_speaker, leave the speaker out, or set unseen_speaker='all'"
        )
    return known.speakers.get(speaker, known.everyone)


def _by_name(sequences: Sequences) -> dict[str, list[Any]]:
    named: dict[str, list[Any]] = {}
    for name, value in zip(sequences.speakers or (), sequences.values, strict=sequences.speakers is not None):
        if name is not None:
            named.setdefault(name, []).append(value)
    return named


def _say(strangers: list[str], counts: list[int], unseen: str) -> None:
    listed = ", ".join(f"{name!r} ({count})" for name, count in zip(strangers, counts, strict=True))
    how = "by their own recordings in this call" if unseen == "own" else "by the level of all training speakers"
    warnings.warn(f"not heard in training, and scaled {how}: {listed}", SpeakerWarning, stacklevel=2)
