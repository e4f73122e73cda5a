"""One paper's experiment: its settings, its parts run one by one and kept, so that a stopped run goes on.

A paper's run.py says three things: `parts(settings)` names independent pieces of work, each a function of nothing that
returns numbers; `claims(results)` turns all results into one list of values (one a seed) for each claim of
expected.json; `draw(results, path)` draws the figure. A part that is a `functools.partial` of plain numbers and words
is run again only where these change, others where any setting does.
"""

import ast
import hashlib
import importlib
import json
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from carousel.training.workers import Here, Workers

ROOT = Path(__file__).parent
Parts = dict[str, Callable[[], dict[str, Any]]]
Results = dict[str, dict[str, Any]]


def keys() -> list[str]:
    """The papers that have an experiment."""
    return sorted(path.parent.name for path in ROOT.glob("*/run.py"))


@dataclass(frozen=True)
class Experiment:
    """The experiment of one paper, in its full size or the small one of CI, with results kept in a folder.

    `long` adds to the full size what a paper keeps out of it for its time; its settings say so by "long".
    """

    key: str
    small: bool
    kept: Path
    long: bool = False

    @property
    def size(self) -> str:
        """One of `claims.SIZES`."""
        return "small" if self.small else "long" if self.long else "full"

    @property
    def code(self) -> ModuleType:
        """The paper's run.py."""
        return importlib.import_module(f"papers.{self.key}.run")

    def settings(self) -> dict[str, Any]:
        """Every number of the experiment: [full] of experiment.toml, with [small] laid over it in CI."""
        return self._numbers() | {"long": self.long}

    def names(self) -> list[str]:
        """All parts."""
        return list(self.code.parts(self.settings()))

    def remaining(self) -> list[str]:
        """The parts that were not done before."""
        done = dict(self._read())
        return [name for name, stamp in self._stamps().items() if (name, stamp) not in done]

    def results(
        self, say: Callable[[str], object] = lambda text: None, workers: Workers | None = None
    ) -> tuple[Results, float]:
        """The results of all parts, and their seconds of processor time; what was done before is not done again.

        With workers several parts run at once; each is kept as soon as it is done, and the results are the same.
        """
        done, path, stamps = dict(self._read()), self._path(), self._stamps()
        missing = [name for name, stamp in stamps.items() if (name, stamp) not in done]
        task = partial(_timed, self.code.parts(self.settings())) if workers is None else self.part
        for place, found in (workers or Here()).finished(task, missing):
            name = missing[place]
            done[name, stamps[name]] = found
            _append(path, {"part": name, "stamp": stamps[name], **found})
            say(f"{self.key}: {name}, {found['seconds']:.1f} s")
        rows = {name: done[name, stamp] for name, stamp in stamps.items()}
        return {name: row["result"] for name, row in rows.items()}, sum(row["seconds"] for row in rows.values())

    def part(self, name: str) -> dict[str, Any]:
        """The result of the part of that name, and the seconds that it took."""
        return _timed(self.code.parts(self.settings()), name)

    def claims(self, results: Results) -> dict[str, list[float]]:
        """The values of each claim, one a seed."""
        return self.code.claims(results)

    def forget(self) -> None:
        """Throw away what was done before."""
        self._path().unlink(missing_ok=True)

    def _numbers(self) -> dict[str, Any]:
        """The settings that results depend on."""
        tables = tomllib.loads((ROOT / self.key / "experiment.toml").read_text(encoding="utf-8"))
        return tables["full"] | (tables["small"] if self.small else {})

    def _stamps(self) -> dict[str, str]:
        """What each part depends on."""
        return {name: self._stamp(part) for name, part in self.code.parts(self.settings()).items()}

    def _stamp(self, part: Callable[[], dict[str, Any]]) -> str:
        """What a part depends on but for code: what it is called with, if that can be seen, and all settings else."""
        try:
            seen = json.dumps(
                [part.args, part.keywords] if isinstance(part, partial) else self._numbers(), sort_keys=True
            )
        except TypeError:
            seen = json.dumps(self._numbers(), sort_keys=True)
        return hashlib.sha256(seen.encode()).hexdigest()[:16]

    def _path(self) -> Path:
        """Where results are kept: a file for this code, so that none outlives it."""
        seen = hashlib.sha256()
        for path in _sources(self.key):
            seen.update(path.read_bytes())
        return self.kept / self.key / f"{seen.hexdigest()[:16]}.jsonl"

    def _read(self) -> Iterator[tuple[tuple[str, str], dict[str, Any]]]:
        if not self._path().exists():
            return
        for line in self._path().read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                row = json.loads(line)
                yield (row.pop("part"), row.pop("stamp")), row


def _sources(key: str) -> list[Path]:
    """The code of a paper, and all of `papers` that it imports."""
    waiting, found = list((ROOT / key).glob("*.py")), set[Path]()
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported(path)
    return sorted(found)


def _imported(path: Path) -> Iterator[Path]:
    """The files of `papers` that one imports, but for this one, which computes no result."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "papers":
            for name in (node.module, *(f"{node.module}.{alias.name}" for alias in node.names)):
                file = ROOT.joinpath(*name.split(".")[1:]).with_suffix(".py")
                if file.is_file() and file.name != "experiment.py":
                    yield file


def _timed(parts: Parts, name: str) -> dict[str, Any]:
    began = time.process_time()
    return {"result": parts[name](), "seconds": time.process_time() - began}


def _append(path: Path, row: dict[str, Any]) -> None:
    """Add a line; one that a killed run left half written is closed first, and read by nobody."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")
