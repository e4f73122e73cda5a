"""expected.json of a paper: what was published, what we measured, and how far a new run may be off.

{"minutes": …, "claims": {NAME: {"says": a sentence, "published": a figure or null, "tag": how sure we are of it,
"ours": mean (null where there is none), "low": …, "high": …, "runs": …, "tolerance": …,
"small_tolerance": for CI's size, if another,
"small_ours": what CI's size gives, where it learns from so much less that the figure is another one,
"needs": a package without which the claim may be missing,
"since": the least size that measures it, "small" if there is none, "full" or "long",
"figure": "greatest" where ours is the greatest of the values, not their mean}}}

Tags: V seen in the source, A follows by arithmetic, R measured again by us, M+ and M recalled, M- not shown.
"""

import json
import math
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Any

ROOT = Path(__file__).parent
SIZES = ("small", "full", "long")


@dataclass(frozen=True)
class Verdict:
    """One claim held against what was expected."""

    name: str
    value: float
    expected: float | None
    holds: bool

    def __str__(self) -> str:
        mark = "ok   " if self.holds else "WRONG"
        return f"{mark} {self.name}: {self.value:.6g}, expected {self.expected}"


def expected(key: str) -> dict[str, Any]:
    """The paper's expected.json."""
    return json.loads((ROOT / key / "expected.json").read_text(encoding="utf-8"))


def verdicts(key: str, found: dict[str, list[float]], *, size: str) -> list[Verdict]:
    """Each claim's mean over seeds beside the expected one, for a run of a size of `SIZES`.

    Raises ValueError where the run and expected.json do not name the same claims.
    """
    claims, small = expected(key)["claims"], size == "small"
    measured = {name for name, claim in claims.items() if SIZES.index(claim.get("since", "small")) <= SIZES.index(size)}
    missing = {name for name, claim in claims.items() if "needs" in claim and find_spec(claim["needs"]) is None}
    if differing := (measured - missing) ^ (set(found) - missing):
        odd = ", ".join(sorted(differing))
        raise ValueError(f"{key}: only one of run.py and expected.json has {odd}; give both")
    return [_verdict(name, _figure(claims[name], values), claims[name], small) for name, values in found.items()]


def _figure(claim: dict[str, Any], values: list[float]) -> float:
    """The one figure of a claim: the mean of its values, or the greatest where it is about the best of them."""
    return max(values) if claim.get("figure") == "greatest" else fmean(values)


def _verdict(name: str, value: float, claim: dict[str, Any], small: bool) -> Verdict:
    tolerance = claim.get("small_tolerance", claim["tolerance"]) if small else claim["tolerance"]
    ours = claim.get("small_ours", claim["ours"]) if small else claim["ours"]
    holds = math.isnan(value) if ours is None else math.isfinite(value) and abs(value - ours) <= tolerance
    return Verdict(name, value, ours, holds)


def write(key: str, found: dict[str, list[float]], seconds: float) -> None:
    """Put these measurements into expected.json in place of the old ones."""
    page = expected(key)
    page["minutes"] = round(seconds / 60, 2)
    for name, values in found.items():
        ours = {"ours": _figure(page["claims"][name], values), "low": min(values), "high": max(values)}
        numbers = {word: None if math.isnan(value) else value for word, value in ours.items()}
        page["claims"][name] |= numbers | {"runs": len(values)}
    text = json.dumps(page, indent=2, ensure_ascii=False) + "\n"
    (ROOT / key / "expected.json").write_text(text, encoding="utf-8")
