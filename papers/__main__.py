"""`python -m papers [KEY ...]`: run experiments, and hold them to their expected.json; goes on where it stopped."""

import argparse
import sys
from pathlib import Path

from papers import claims, page
from papers.experiment import ROOT, Experiment, keys

KEPT = Path("runs") / "papers"


def main(words: list[str]) -> None:
    """Run what was asked for; exits with 1 where a claim does not hold."""
    given = _parsed(words)
    held = [_run(Experiment(key, given.small, KEPT, given.long), given) for key in given.keys or keys()]
    sys.exit(0 if all(held) else "a claim does not hold; its line says WRONG")


def _parsed(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m papers", description=__doc__)
    parser.add_argument("keys", nargs="*", metavar="KEY", help=f"of {', '.join(keys())}; all if none is given")
    parser.add_argument("--small", action="store_true", help="the size of CI")
    parser.add_argument("--long", action="store_true", help="with what is kept out of the full size for its time")
    parser.add_argument("--fresh", action="store_true", help="forget what an earlier run has done")
    parser.add_argument("--write", action="store_true", help="take these results as the expected ones; draw the figure")
    given = parser.parse_args(words)
    if unknown := {*given.keys} - {*keys()}:
        parser.error(f"there is no paper {', '.join(sorted(unknown))}; there are {', '.join(keys())}")
    if given.small and (given.write or given.long):
        parser.error(f"--{'write' if given.write else 'long'} takes the full size; leave --small out")
    return given


def _run(experiment: Experiment, given: argparse.Namespace) -> bool:
    if given.fresh:
        experiment.forget()
    results, seconds = experiment.results(lambda text: print(text, file=sys.stderr, flush=True))
    found, folder = experiment.claims(results), ROOT / experiment.key
    if given.write:
        claims.write(experiment.key, found, seconds)
        experiment.code.draw(results, folder / "figure.png")
        (folder / "README.md").write_text(page.with_table(experiment.key), encoding="utf-8")
    verdicts = claims.verdicts(experiment.key, found, size=experiment.size)
    print(f"{experiment.key} ({seconds:.0f} s)", *(f"  {verdict}" for verdict in verdicts), sep="\n", flush=True)
    return all(verdict.holds for verdict in verdicts)


if __name__ == "__main__":
    main(sys.argv[1:])
