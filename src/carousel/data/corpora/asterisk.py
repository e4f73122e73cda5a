"""Prompts of the telephone exchange Asterisk: real speakers of five languages, 8,000 samples a second."""

from pathlib import Path

from carousel.data.corpora.sources import folder_of

LANGUAGES = ("en", "es", "fr", "it", "ru")


def spoken_words(language: str, kind: str = "digits", folder: Path | None = None) -> dict[str, Path]:
    """Word to sound file: of "digits" (also tens, months, days), "letters" or "phonetic" (alfa, bravo, ...).

    folder: None looks where `fetch("asterisk-en")`, and so on, puts it.
    Raises ValueError for an unknown language, FileNotFoundError where the recordings are not here.
    """
    if language not in LANGUAGES:
        raise ValueError(f"there are no recordings in {language!r}; there are {', '.join(LANGUAGES)}")
    place = (folder_of(f"asterisk-{language}") if folder is None else folder) / kind
    if not place.is_dir():
        raise FileNotFoundError(f"there is no folder {place}")
    return {path.stem: path for path in sorted(place.glob("*.wav"))}


def spoken_digits(language: str, folder: Path | None = None) -> dict[int, Path]:
    """The ten digits, 0 to 9, one recording each."""
    words = spoken_words(language, folder=folder)
    return {digit: words[str(digit)] for digit in range(10)}
