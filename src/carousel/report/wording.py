"""Numbers and durations in words, as the page prints them."""

from datetime import datetime

from carousel.report.records import Number, Row

_SMALL, _LARGE = 1e-3, 1e6
_PERCENT = "\u202f%"


def number(value: Number, digits: int = 4) -> str:
    """A number in that many significant digits; a dash where there is none."""
    if value is None:
        return "–"
    if value == 0:
        return "0"
    if not _SMALL <= abs(value) < _LARGE:
        mantissa, exponent = f"{value:.{digits - 2}e}".split("e")
        return f"{mantissa.replace('-', '−')}·10{_superscript(int(exponent))}"
    whole = len(str(int(abs(value)))) if abs(value) >= 1 else 0
    text = f"{value:,.{max(0, digits - whole)}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace(",", "\u202f").replace("-", "−")


def _superscript(exponent: int) -> str:
    return str(exponent).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def count(value: int) -> str:
    """A whole number with thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")


def counted(value: int, noun: str) -> str:
    """'1 series', '3 steps': a count and its noun; 'series' is its own plural."""
    plural = noun if noun.endswith("s") else noun[:-1] + "ies" if noun.endswith("y") else noun + "s"
    return f"{count(value)} {noun if value == 1 else plural}"


def share(value: Number) -> str:
    """A value between 0 and 1 with three decimals."""
    return "–" if value is None else f"{value:.3f}"


def percent(value: float) -> str:
    """A share of one in per cent, with one decimal where it is not zero."""
    return f"{100 * value:.1f}".removesuffix(".0").replace("-", "−") + _PERCENT


def about(value: float) -> str:
    """The size of a difference in per cent: one decimal below ten, none above."""
    size = 100 * abs(value)
    return percent(abs(value)) if size < 9.95 else f"{size:.0f}{_PERCENT}"


def duration(seconds: Number) -> str:
    """Seconds as people say them: '8.2 s', '3 min 20 s', '2 h 5 min'."""
    if seconds is None:
        return "–"
    if seconds < 10:
        return f"{seconds:.1f} s"
    total = round(seconds)
    if total < 60:
        return f"{total} s"
    if total < 3600:
        return f"{total // 60} min {total % 60} s"
    return f"{total // 3600} h {total % 3600 // 60} min"


def moment(iso: str) -> str:
    """'21 November 2026, 10:12 UTC' for an ISO 8601 time; other text as it is."""
    try:
        time = datetime.fromisoformat(iso)
    except ValueError:
        return iso
    return f"{time.day} {time:%B %Y, %H:%M} {time.tzname() or ''}".strip()


def listed(words: Row[str], at_most: int = 12) -> str:
    """'a, b and c'; a long list is cut and says how many are left out."""
    if len(words) > at_most:
        return ", ".join(words[:at_most]) + f" and {count(len(words) - at_most)} more"
    return " and ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))
