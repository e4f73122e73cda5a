"""The small real data sets that the package ships; their sources stand in `sets/README.md`."""

from importlib.resources import as_file, files

from carousel.data.readers.csv_text import read_csv
from carousel.data.table import Table

DATASETS = {"co2": "co2_weekly.csv", "seattle": "seattle_hourly.csv"}


def load(name: str) -> Table:
    """Return a data set: "co2" (weekly, `date` and `ppm`) or "seattle" (hourly, `time` and `fahrenheit`).

    Both have a few missing values. Raises ValueError for another name.
    """
    if name not in DATASETS:
        raise ValueError(f"there is no data set {name!r}; it can be {', '.join(map(repr, DATASETS))}")
    with as_file(files("carousel.data") / "sets" / DATASETS[name]) as path:
        return read_csv(path)
