"""`python -m papers [KEY ...]`: run experiments, and hold them to their expected.json; goes on where it stopped."""

import argparse
import sys
import traceback
from pathlib import Path

from carousel.training.workers import Workers, workers_of
from papers import claims, page
from papers.experiment import ROOT, Experiment, Results, keys
from papers.progress import Progress

KEPT = Path("runs") / "papers"


def main(words: list[str]) -> None:
    """Run all that was asked for; exits with 1, and says where, if a claim does not hold or a paper breaks off."""
    given = _parsed(words)
    experiments = [Experiment(key, given.small, KEPT, given.long) for key in given.keys or keys()]
    for experiment in experiments if given.fresh else ():
        experiment.forget()
    progress = Progress(experiments)
    with workers_of(given.workers) as workers:
        several = None if given.workers == 1 else workers
        missed = {experiment.key: _missed(experiment, given, progress, several) for experiment in experiments}
    lines = [f"{key}: {', '.join(names)}" for key, names in missed.items() if names]
    sys.exit("\n".join(["a claim does not hold; its line says WRONG", *lines]) if lines else 0)


def _parsed(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m papers", description=__doc__)
    parser.add_argument("keys", nargs="*", metavar="KEY", help=f"of {', '.join(keys())}; all if none is given")
    parser.add_argument("--small", action="store_true", help="the size of CI")
    parser.add_argument("--long", action="store_true", help="with what is kept out of the full size for its time")
    parser.add_argument("--fresh", action="store_true", help="forget what an earlier run has done")
    parser.add_argument("--write", action="store_true", help="take these results as the expected ones; draw the figure")
    parser.add_argument("--workers", type=int, default=1, help="processes that run parts at the same time")
    given = parser.parse_args(words)
    if unknown := {*given.keys} - {*keys()}:
        parser.error(f"there is no paper {', '.join(sorted(unknown))}; there are {', '.join(keys())}")
    if given.small and (given.write or given.long):
        parser.error(f"--{'write' if given.write else 'long'} takes the full size; leave --small out")
    return given


def _missed(
    experiment: Experiment, given: argparse.Namespace, progress: Progress, workers: Workers | None
) -> list[str]:
    """The claims that do not hold, or that the paper broke off."""
    try:
        results, seconds = experiment.results(lambda text: progress.part(experiment, text), workers)
        progress.over()
        return _wrong(experiment, given, results, seconds)
    except Exception as error:
        progress.over()
        traceback.print_exc()
        return [f"broke off ({type(error).__name__}: {error})"]


def _wrong(experiment: Experiment, given: argparse.Namespace, results: Results, seconds: float) -> list[str]:
    """The claims that do not hold; with --write these results become the expected ones first."""
    found, folder = experiment.claims(results), ROOT / experiment.key
    if given.write:
        claims.write(experiment.key, found, seconds)
        experiment.code.draw(results, folder / "figure.png")
        (folder / "README.md").write_text(page.with_table(experiment.key), encoding="utf-8")
    verdicts = claims.verdicts(experiment.key, found, size=experiment.size)
    print(f"{experiment.key} ({seconds:.0f} s)", *(f"  {verdict}" for verdict in verdicts), sep="\n", flush=True)
    return [verdict.name for verdict in verdicts if not verdict.holds]


if __name__ == "__main__":
    main(sys.argv[1:])
