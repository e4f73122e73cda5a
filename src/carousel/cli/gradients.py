"""`carousel gradients`: how far back gradients flow, through the net of a run or through fresh ones."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from carousel.cli.console import number, say, table, write_json
from carousel.cli.errors import UsageError
from carousel.cli.memory import asking_for_memory
from carousel.cli.options import Debug, Json

if TYPE_CHECKING:
    from torch import Tensor

    from carousel.report import GradientNorms

SHOWN = ("rnn", "lstm1997", "lstm")
COLUMNS = (0.1, 0.5, 1.0)
"""The lags of the table, as shares of the greatest."""

RunOrNone = Annotated[Path | None, typer.Argument(help="The directory of a run: its net.", show_default=False)]
Cells = Annotated[
    list[str] | None,
    typer.Option(
        help='A fresh net: a cell, "rnn" for the plain RNN, or "all". May be given several times.', show_default=False
    ),
]
Out = Annotated[
    Path | None, typer.Option("--out", "-o", help="A picture to write: .png, .svg or .pdf.", show_default=False)
]


def gradients(
    run: RunOrNone = None,
    *,
    cell: Cells = None,
    lags: Annotated[int, typer.Option(help="How many steps to follow gradients back.", min=1)] = 100,
    hidden_size: Annotated[int, typer.Option(help="Units of a fresh net.", min=1)] = 32,
    seed: Annotated[int, typer.Option(help="Draws the weights of fresh nets, and random inputs.")] = 0,
    out: Out = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Follow gradients back in time: norms of the Jacobians of h and c by lag."""
    from carousel.report.gradient_picture import draw_gradient_norms

    if out is not None and not out.parent.is_dir():
        raise UsageError(f"--out {out}: there is no folder {out.parent}; make it first")
    with asking_for_memory(lags=lags, **({} if run and not cell else {"hidden_size": hidden_size})):
        nets, inputs = _nets(run, cell, lags, hidden_size, seed)
    if out is not None:
        draw_gradient_norms(nets, out)
    if json:
        write_json(_described(nets, inputs))
        return
    _show(nets, inputs)
    if out is not None:
        say(f"picture  {out}")


def _nets(
    run: Path | None, cell: list[str] | None, lags: int, hidden: int, seed: int
) -> "tuple[list[GradientNorms], str]":
    """The nets that were asked for, and what they read in words."""
    from carousel.report.gradients import fresh_norms, gradient_norms, known_nets, random_inputs

    fresh = known_nets(cell or ([] if run else SHOWN))
    x, inputs, nets = random_inputs(lags, seed=seed), "normal noise", []
    if run is not None:
        lstm, x, inputs = _of_run(run, lags, seed)
        nets.append(gradient_norms(lstm, x.transpose(0, 1) if lstm.batch_first else x, lags, name=run.resolve().name))
    nets += [fresh_norms(name, x, lags, hidden=hidden, seed=seed) for name in fresh]
    return nets, inputs


def _of_run(run: Path, lags: int, seed: int) -> "tuple[Any, Tensor, str]":
    """The LSTM of a run, the sequence that its report shows as the LSTM read it (else noise), and its name."""
    import torch

    from carousel.cli.findings import JSON, read_findings
    from carousel.nn import LSTM
    from carousel.report import random_inputs
    from carousel.tasks import load

    estimator: Any = load(run)
    lstm = next((part for part in estimator.network_.modules() if isinstance(part, LSTM)), None)
    if lstm is None:
        raise UsageError(f"the net of {run} has no LSTM to follow gradients through")
    memory = read_findings(run).memory if (run / JSON).is_file() else None
    if memory is None or len(memory.inputs) != lstm.input_size:
        return lstm, random_inputs(lags, features=lstm.input_size, seed=seed), "normal noise"
    values = [[float(value or 0.0) for value in line.values] for line in memory.inputs]
    return lstm, torch.tensor(values, dtype=torch.float64).T.unsqueeze(1), memory.sequence


def _show(nets: "list[GradientNorms]", inputs: str) -> None:
    from carousel.report.gradients import PATHS

    lags = nets[0].lags
    picked = sorted({max(1, round(share * (len(lags) - 1))) for share in COLUMNS})
    rows = [
        [net.name, path, *(number(net.middle(path)[at]) for at in picked), number(net.factor(path))]
        for net in nets
        for path in net.spectral
    ]
    headings = ("net", "path", *(f"lag {lags[at]}" for at in picked), "factor a step")
    table(headings, rows, f"Spectral norms of the Jacobians back from the last step, on {inputs}")
    print(*(f"{path}: {meaning}" for path, meaning in PATHS.items()), sep="\n")


def _described(nets: "list[GradientNorms]", inputs: str) -> dict[str, Any]:
    from carousel.report.gradients import PATHS

    return {
        "inputs": inputs,
        "paths": PATHS,
        "nets": [{"net": net.name, "lags": net.lags, **_norms(net)} for net in nets],
    }


def _norms(net: "GradientNorms") -> dict[str, Any]:
    """Per path the spectral norm's mean and band, the Frobenius norm's mean, and the factor of a step."""
    found = {}
    for path in net.spectral:
        low, high = net.band(path)
        frobenius = net.frobenius[path].log().mean(0).exp().tolist()
        found[path] = {
            "spectral": net.middle(path), "low": low, "high": high, "frobenius": frobenius, "factor": net.factor(path)
        }  # fmt: skip
    return found
