"""From a fitted study to the findings of a report, and the report into the run's directory."""

import shlex
import sys
from datetime import UTC, datetime
from pathlib import Path

from carousel.cli.info import versions
from carousel.cli.progress import Training
from carousel.cli.recipe import Recipe
from carousel.cli.studies import Study
from carousel.data import atomic_path
from carousel.report import Findings, ReportError, cell_findings, from_json, learning, to_json, write

JSON, PAGE = "report.json", "report.html"
LARGEST = 256 * 2**20


def collect(study: Study, recipe: Recipe, training: Training) -> Findings:
    """Everything that the report says about a fit."""
    estimator = study.estimator
    stopped = training.last.stopped if training.last else None
    return Findings(
        title=f"{Path(recipe.data.path).name}: {recipe.task}",
        task=recipe.task,  # pyright: ignore[reportArgumentType]
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        learning=learning(estimator.history_, stopped=stopped),
        results=study.results(),
        cell=cell_findings(estimator.cell),
        command=shlex.join(["carousel", *sys.argv[1:]]),
        settings=recipe.as_dict(),
        versions={name: number for name, number in versions().items() if number},
        **study.findings(),
    )


def write_report(findings: Findings, run: Path) -> str | None:
    """Write report.json and report.html; returns a sentence where the page could not be made."""
    with atomic_path(run / JSON) as temporary:
        temporary.write_text(to_json(findings), encoding="utf-8")
    try:
        write(findings, run / PAGE)
    except ReportError as error:
        return str(error)
    return None


def read_findings(run: Path) -> Findings:
    """The findings of a run. Raises ReportError for a run without them, or with damaged ones."""
    path = run / JSON
    if not run.is_dir():
        raise ReportError(f"there is no directory {run}; give the one that `carousel fit` wrote")
    if not path.is_file():
        raise ReportError(f"{run} has no {JSON}; a run gets it at the end of `carousel fit`")
    if path.stat().st_size > LARGEST:
        raise ReportError(f"{path} has {path.stat().st_size:,} bytes; more than {LARGEST:,} are not read")
    try:
        return from_json(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ReportError(f"{path} is damaged: {error}") from None
    except ReportError as error:
        raise ReportError(f"{path}: {error}") from None
