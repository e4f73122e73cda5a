"""Subtitles in SubRip's format."""

from carousel.tasks import TimedSymbol, Transcription

WIDEST, LONGEST = 42, 6.0
"""Characters and seconds of a cue, at most, but for a single word."""
Word = tuple[str, float, float]


def subtitles(found: Transcription) -> str:
    """A transcription in seconds as the text of an .srt file: a cue for as many words as are read at once."""
    cues: list[Word] = []
    for text, start, end in _words(found):
        if cues and _fits(cues[-1], text, end):
            cues[-1] = (f"{cues[-1][0]} {text}", cues[-1][1], end)
        else:
            cues.append((text, start, end))
    return "\n".join(
        f"{number}\n{_time(start)} --> {_time(end)}\n{text}\n" for number, (text, start, end) in enumerate(cues, 1)
    )


def _fits(cue: Word, text: str, end: float) -> bool:
    return len(cue[0]) + 1 + len(text) <= WIDEST and end - cue[1] <= LONGEST


def _words(found: Transcription) -> list[Word]:
    """The words of a text, from their first to their last symbol; where nothing but a separator stands between symbols,
    each is a word."""
    words: list[list[TimedSymbol]] = [[]]
    divided = "".join(own.symbol for own in found.symbols) != found.text
    for own in found.symbols:
        if divided or own.symbol.isspace():
            words.append([])
        if not own.symbol.isspace():
            words[-1].append(own)
    return [("".join(own.symbol for own in word), word[0].start, word[-1].end) for word in words if word]


def _time(seconds: float) -> str:
    """Seconds as 00:01:02,345."""
    milliseconds = round(max(0.0, seconds) * 1000)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02},{milliseconds % 1000:03}"
