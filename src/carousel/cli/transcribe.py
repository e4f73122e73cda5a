"""`carousel transcribe`: what recordings say, by the model of a run."""

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from carousel.cli.console import say, write_json
from carousel.cli.errors import UsageError, report
from carousel.cli.options import FILES, Debug, Json, Run

Read = tuple[list[tuple[Path, Any]], list[Exception]]
"""Files with what they say, and why others could not be used."""


def transcribe(
    run: Run,
    files: Annotated[
        list[Path],
        typer.Argument(
            help=f"{FILES} With --stream also - for standard input: raw 16-bit samples of one channel at the model's "
            "rate.",
            show_default=False,
        ),
    ],
    *,
    stream: Annotated[
        bool, typer.Option("--stream", help="Read piece by piece, and say what is known so far.")
    ] = False,
    piece: Annotated[float, typer.Option(help="Seconds of sound in a piece of a stream.")] = 0.25,
    speaker: Annotated[
        str | None, typer.Option(help="Who speaks, where the model scales features by speaker.", show_default=False)
    ] = None,
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
    from carousel.cli.live import follow
    from carousel.tasks import Transcriber

    _check(files, stream, srt)
    estimator = Transcriber.load(run)
    _decode_by(estimator, beam, language_model)
    if speaker is not None and estimator.normalize != "speaker":
        raise UsageError(f"--speaker is for models fitted with --normalize speaker, not {estimator.normalize}")
    read = follow(estimator, files, piece, speaker, json=json) if stream else _at_once(estimator, files, speaker)
    found, refused = read
    if srt is not None and found:
        _write_subtitles(srt, found)
    if json and not stream:
        listed = [{"file": str(file), **asdict(own)} for file, own in found]
        write_json({"run": str(run), "transcriptions": listed})
    elif not json and srt is None:
        for file, own in found:
            print(f"{file}\t{own.text}")
    if refused:
        raise typer.Exit(max(report(error, debug) for error in refused))


def _check(files: list[Path], stream: bool, srt: Path | None) -> None:
    if Path("-") in files and not stream:
        raise UsageError("- is sound that comes in on standard input; add --stream")
    if srt is not None and srt.exists() and not srt.is_dir():
        raise UsageError(f"--srt is {srt}, which is a file; name a folder for the subtitles")
    names = [f"{file.stem}.srt" for file in files]
    if srt is not None and (twice := [name for name in names if names.count(name) > 1]):
        raise UsageError(f"several files would be written to {srt / twice[0]}; transcribe them one by one")


def _at_once(estimator: Any, files: list[Path], speaker: str | None) -> Read:
    from carousel.cli.studies.manifest import acquainted, read_each

    found, refused = read_each(files, estimator, [speaker] * len(files))
    if not len(found):
        return [], refused
    own, sequences = acquainted(estimator, found)
    return list(zip(map(Path, sequences.ids), own.transcribe(sequences), strict=True)), refused


def _decode_by(estimator: Any, beam: int | None, language_model: Path | None) -> None:
    if beam is not None:
        if beam < 1:
            raise UsageError(f"--beam is {beam}; it must be 1 or more")
        estimator.set_params(decoder="prefix_beam", beam=beam)
    if language_model is not None:
        if estimator.decoder != "prefix_beam":
            raise UsageError("--language-model is for a beam search; name its width by --beam, such as --beam 100")
        estimator.set_params(language_model=str(language_model))


def _write_subtitles(folder: Path, found: list[tuple[Path, Any]]) -> None:
    from carousel.cli.subtitles import subtitles
    from carousel.data import write_atomically

    if found[0][1].unit != "seconds":
        raise UsageError("--srt needs times, but this model reads frames that are not evenly spaced in time")
    folder.mkdir(parents=True, exist_ok=True)
    for file, own in found:
        path = folder / f"{file.stem}.srt"
        write_atomically(path, subtitles(own).encode())
        say(f"subtitles  {path}")
