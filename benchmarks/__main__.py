"""`python -m benchmarks [NAME ...]`: measure, one after the other, write the results and the page about them."""

import os
import sys

from benchmarks.machine import THREADS

os.environ.setdefault("OMP_NUM_THREADS", str(THREADS))


def main(names: list[str]) -> None:
    """Run the benchmarks of these names, or all; `page` alone writes the page anew from the results."""
    import torch

    from benchmarks import classification, forecasting, labelling, page

    torch.set_num_threads(THREADS)
    known = {"forecasting": forecasting, "classification": classification, "labelling": labelling}
    if unknown := set(names) - {*known, "page"}:
        sys.exit(f"there is no benchmark {', '.join(sorted(unknown))}; there are {', '.join(known)}, and page")
    for name in names or known:
        for result in known[name].results() if name in known else ():
            result.write()
            print(page.section(result), flush=True)
    page.write()


if __name__ == "__main__":
    main(sys.argv[1:])
