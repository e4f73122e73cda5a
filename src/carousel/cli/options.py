"""Options that several commands share."""

from pathlib import Path
from typing import Annotated

import typer

Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout, and nothing else.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
Debug = Annotated[bool, typer.Option("--debug", help="Show the trace of an error.")]
FILES = "Sound files, or what else the model learned: .npy (time, features), .json of pen strokes."
Run = Annotated[Path, typer.Argument(help="The directory that `carousel fit` wrote.", show_default=False)]
Data = Annotated[
    Path,
    typer.Argument(help="A file (.csv .tsv .parquet .npz .ts) or a folder of sequence files.", show_default=False),
]
DataOrNone = Annotated[
    Path | None,
    typer.Argument(
        help="A file (.csv .tsv .parquet .npz .ts) or a folder of sequence files; of `fit control`, an environment.",
        show_default=False,
    ),
]
