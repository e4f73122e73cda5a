"""`carousel predict`: what a trained model says of new data."""

from pathlib import Path
from typing import Annotated

import typer

from carousel.cli.console import say, write_json
from carousel.cli.errors import UsageError
from carousel.cli.options import Data, Debug, Json, Quiet, Run


def predict(
    run: Run,
    data: Data,
    *,
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="CSV file to write. Default: stdout.", show_default=False)
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    debug: Debug = False,
) -> None:
    """Predict from new data with the model of a run; writes CSV."""
    from carousel.cli.recipe import read_recipe
    from carousel.cli.studies import study_of
    from carousel.data import write_csv
    from carousel.tasks import load

    if out is not None and not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}; make it first")
    estimator = load(run)
    found = study_of(type(estimator)).predictions(estimator, read_recipe(run).data, data)
    if json:
        write_json(found)
    elif out is None:
        _print(found)
    else:
        write_csv(out, found)
        say(f"predictions  {out}", quiet)


def _print(columns: dict[str, list[object]]) -> None:
    import csv
    import sys

    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*columns.values(), strict=True))
