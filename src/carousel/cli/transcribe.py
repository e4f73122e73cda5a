"""`carousel transcribe`: what recordings say, by the model of a run."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from carousel.cli.console import say, write_json
from carousel.cli.errors import UsageError
from carousel.cli.options import Debug, Json, Run

Files = Annotated[
    list[Path],
    typer.Argument(help="Sound files, or .npy (time, features), whichever the model learned.", show_default=False),
]


def transcribe(
    run: Run,
    files: Files,
    *,
    srt: Annotated[
        Path | None, typer.Option(help="Folder for subtitles, NAME.srt for each file.", show_default=False)
    ] = None,
    beam: Annotated[
        int | None, typer.Option(help="Search so wide a beam, whatever the run does.", show_default=False)
    ] = None,
    language_model: Annotated[
        Path | None, typer.Option(help="ARPA file of symbols; needs a beam.", show_default=False)
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write down what sound files say, by the model of a run."""
    from carousel.cli.studies.manifest import read_files
    from carousel.tasks import Transcriber

    estimator = Transcriber.load(run)
    _decode_by(estimator, beam, language_model)
    found = estimator.transcribe(read_files(files, estimator))
    if srt is not None:
        _write_subtitles(srt, files, found)
    if json:
        listed = [{"file": str(file), **asdict(own)} for file, own in zip(files, found, strict=True)]
        write_json({"run": str(run), "transcriptions": listed})
    elif srt is None:
        for file, own in zip(files, found, strict=True):
            print(f"{file}\t{own.text}")


def _decode_by(estimator: Any, beam: int | None, language_model: Path | None) -> None:
    if beam is not None:
        if beam < 1:
            raise UsageError(f"--beam is {beam}; it must be 1 or more")
        estimator.set_params(decoder="prefix_beam", beam=beam)
    if language_model is not None:
        if estimator.decoder != "prefix_beam":
            raise UsageError("--language-model is for a beam search; name its width by --beam, such as --beam 100")
        estimator.set_params(language_model=str(language_model))


def _write_subtitles(folder: Path, files: list[Path], found: list[Any]) -> None:
    from carousel.cli.subtitles import subtitles
    from carousel.data import write_atomically

    if found[0].unit != "seconds":
        raise UsageError("--srt needs times, but this model reads frames that are not evenly spaced in time")
    names = [f"{file.stem}.srt" for file in files]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UsageError(f"several files would be written to {folder / twice[0]}; transcribe them one by one")
    folder.mkdir(parents=True, exist_ok=True)
    for name, own in zip(names, found, strict=True):
        write_atomically(folder / name, subtitles(own).encode())
        say(f"subtitles  {folder / name}")
