"""The tables about papers, from their expected.json: in each README, and docs/papers.md. Standard library alone."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent
BEGIN, END = "<!-- table: python -m papers --write -->", "<!-- end of table -->"
RECALLED = {"M": " (as recalled)", "M-": ""}
INTRODUCTION = """# Papers

Results of the literature, run again with carousel. `make papers` runs them all, and goes on where it was stopped; CI
runs a small size of each. A figure is the mean over runs (seeds and nets), with the least and the greatest; what was
published, or follows by arithmetic, stands beside it. What was changed against a paper, and why, stands in its README.

{together} A run that was killed goes on where it stood: each part, a seed
or a few nets, is kept as soon as it is done.

This page is made by `make docs`; a test holds it current.
"""


def page() -> str:
    """The page docs/papers.md."""
    keys = sorted(path.parent.name for path in ROOT.glob("*/expected.json"))
    introduction = INTRODUCTION.format(together=together(keys))
    return "\n".join([introduction, *(_section(key) for key in keys)])


def together(keys: Sequence[str]) -> str:
    """What all these papers take, one after the other."""
    minutes = sum(_expected(key)["minutes"] for key in keys)
    return f"All {len(keys)} together take {minutes:.0f} minutes on one core; `make papers` runs two parts at a time."


def table(key: str) -> str:
    """The claims of one paper as a table."""
    found = _expected(key)
    rows = [f"| {claim['says']} | {_published(claim)} | {_measured(claim)} |\n" for claim in found["claims"].values()]
    head = "| claim | published or proved | ours | runs |\n|---|---|---|---|\n"
    return f"{head}{''.join(rows)}\n{_minutes(found['minutes'])}\n"


def with_table(key: str) -> str:
    """The paper's README with its table as expected.json has it now."""
    text = (ROOT / key / "README.md").read_text(encoding="utf-8")
    between = re.compile(f"{re.escape(BEGIN)}.*{re.escape(END)}", re.DOTALL)
    return between.sub(lambda _: f"{BEGIN}\n{table(key)}{END}", text)


def _expected(key: str) -> dict[str, Any]:
    return json.loads((ROOT / key / "expected.json").read_text(encoding="utf-8"))


def _section(key: str) -> str:
    readme = (ROOT / key / "README.md").read_text(encoding="utf-8")
    title, _, rest = readme.partition("\n\n")
    claim = rest.split("\n\n")[0]
    link = f"[How, and what was changed](../papers/{key}/README.md)"
    return f"## {title.removeprefix('# ')}\n\n{claim}\n\n{table(key)}\n{link}\n"


def _published(claim: dict[str, Any]) -> str:
    tag = claim.get("tag") or ""
    if claim["published"] is None or tag == "M-":
        return ""
    return f"{claim['published']:g}{RECALLED.get(tag, '')}"


def _measured(claim: dict[str, Any]) -> str:
    """The figure with the least and the greatest, and its runs; where no run had one there is nothing to count."""
    if claim["ours"] is None:
        return "none | "
    mean, low, high = (f"{claim[name]:.4g}" for name in ("ours", "low", "high"))
    alone = low == high or claim.get("figure") == "greatest"
    return f"{mean if alone else f'{mean} ({low} to {high})'} | {claim['runs']}"


def _minutes(minutes: float) -> str:
    return f"All of it takes {'less than a minute' if minutes < 1 else f'{minutes:.0f} minutes'} on one core."
