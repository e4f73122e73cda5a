"""`carousel spot`: where keywords are spoken, by the model of a run."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from carousel.cli.console import write_json
from carousel.cli.errors import UsageError
from carousel.cli.options import FILES, Debug, Json, Run


def spot(
    run: Run,
    files: Annotated[list[Path], typer.Argument(help=FILES, show_default=False)],
    *,
    keyword: Annotated[
        list[str] | None,
        typer.Option(
            help="What to find, WORD or WORD=SPELLING; repeat it for more. Default: all that the model learned. "
            "A model of `fit transcribe` finds whatever its alphabet spells.",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(help="Least confidence, above 0 and below 1. Default: the run's.", show_default=False),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Find keywords in sound files, by the model of a run."""
    from carousel.cli.studies.manifest import read_files
    from carousel.tasks import KeywordSpotter, Transcriber, spot_keywords

    estimator = Transcriber.load(run)
    if isinstance(estimator, KeywordSpotter):
        usual, wanted = estimator.threshold, keyword or list(estimator.alphabet_.symbols)
    else:
        usual, wanted = 0.5, keyword
    if not wanted:
        raise UsageError(f"{run} learned no keywords; name what to find by --keyword, such as --keyword seven")
    if threshold is not None and not 0 < threshold < 1:
        raise UsageError(f"--threshold is {threshold:g}; a confidence lies above 0 and below 1")
    sure = usual if threshold is None else threshold
    found = spot_keywords(estimator, read_files(files, estimator), _spelt(wanted), threshold=sure)
    listed = [(str(file), [asdict(own) for own in one]) for file, one in zip(files, found, strict=True)]
    if json:
        write_json({"run": str(run), "files": [{"file": file, "detections": one} for file, one in listed]})
        return
    for file, one in listed:
        for own in one:
            print(f"{file}\t{own['start']:.2f}\t{own['end']:.2f}\t{own['confidence']:.3f}\t{own['keyword']}")


def _spelt(keywords: list[str]) -> dict[str, str]:
    """Keywords with their spellings, which are the keywords themselves where none is given."""
    pairs = (keyword.partition("=") for keyword in keywords)
    return {word: spelling or word for word, _, spelling in pairs}
