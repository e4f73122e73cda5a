"""`python -m benchmarks [NAME ...]`: measure, one after the other, write the results and the pages about them."""

import argparse
import os
import sys

from benchmarks.machine import THREADS

os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))


def main(words: list[str]) -> None:
    """Run the benchmarks of these names, or all; `page` alone writes the pages anew from the results."""
    import torch

    from benchmarks import classification, forecasting, labelling, methods, page
    from benchmarks.cells import page as speed_page

    torch.set_num_threads(THREADS)
    known = {"forecasting": forecasting, "classification": classification, "labelling": labelling}
    given = _parsed(words, [*known, "cells", "methods", "page"])
    for name in given.names or known:
        for result in known[name].results() if name in known else ():
            result.write()
            print(page.section(result), flush=True)
    right = _cells(given) if not given.names or "cells" in given.names else True
    if not given.names or "methods" in given.names:
        methods.measure(given.method)
    page.write()
    speed_page.write()
    methods.write()
    sys.exit(0 if right else "a result was wrong; its row says which")


def _parsed(words: list[str], known: list[str]) -> argparse.Namespace:
    from benchmarks.cells.run import QUESTIONS

    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(known)}; all if none is given")
    parser.add_argument("--quick", action="store_true", help="cells: about two minutes; printed and not kept")
    parser.add_argument("--only", nargs="+", metavar="QUESTION", default=[], help=f"cells: of {', '.join(QUESTIONS)}")
    parser.add_argument("--method", nargs="+", metavar="NAME", default=[], help="methods: these alone, others stay")
    given = parser.parse_args(words)
    if unknown := {*given.names} - {*known}:
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    if unknown := {*given.only} - {*QUESTIONS}:
        parser.error(f"there is no question {', '.join(sorted(unknown))}; there are {', '.join(QUESTIONS)}")
    return given


def _cells(given: argparse.Namespace) -> bool:
    """Ask, print and keep; whether every result was right."""
    from benchmarks.cells import page, records, run, timing

    right = True
    for answer in run.answers(timing.QUICK if given.quick else timing.FULL, given.only):
        print(page.section(answer), flush=True)
        right = right and not any(row.wrong for row in answer.rows)
        if not given.quick:
            records.keep([answer])
    return right


if __name__ == "__main__":
    main(sys.argv[1:])
