"""The end of a command in words: the model against the baselines, who wins, and where the report is."""

from pathlib import Path
from typing import Any

from carousel.cli.console import number, table, write_json
from carousel.cli.findings import PAGE
from carousel.report import Findings, Results, verdict


def summary(findings: Findings, run: Path, note: str | None) -> dict[str, Any]:
    """The outcome of a fit, for programs."""
    found, results = verdict(findings), findings.results
    return {
        "run": str(run),
        "metric": results.metric,
        "lower_is_better": results.lower_is_better,
        "scores": scores(results),
        "model": results.model.name,
        "outcome": found.outcome,
        "sentence": found.sentence,
        "epochs": len(findings.learning.epochs),
        "stopped": findings.learning.stopped,
        "seconds": findings.learning.seconds,
        "report": None if note else str(run / PAGE),
        "note": note,
    }


def scores(results: Results) -> dict[str, dict[str, float | None]]:
    """The scores of the model and of each baseline, by name."""
    return {score.name: dict(score.values) for score in results.scores}


def show(outcome: dict[str, Any], findings: Findings, *, json: bool, quiet: bool) -> None:
    """Print the outcome of a fit on stdout."""
    if json:
        write_json(outcome)
    elif not quiet:
        show_results(findings.results)
        print(outcome["sentence"], verdict(findings).advice)
        print(f"model   {outcome['run']}")
        print(f"report  {outcome['report'] or outcome['note']}")


def show_results(results: Results) -> None:
    """Print the table of scores, the best first."""
    metrics = [results.metric, *(name for name in results.model.values if name != results.metric)]
    sign, direction = (1, "lower") if results.lower_is_better else (-1, "higher")
    rows = sorted(results.scores, key=lambda row: _rank(row.values[results.metric], sign))
    table(
        ("", *metrics),
        (
            [("> " if row.is_model else "  ") + row.name, *(number(row.values.get(name)) for name in metrics)]
            for row in rows
        ),
        f"{results.measured_on}; {results.metric} decides: {direction} is better",
    )


def _rank(value: float | None, sign: int) -> float:
    return float("inf") if value is None else sign * value
