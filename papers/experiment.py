"""One paper's experiment: its settings, its parts run one by one and kept, so that a stopped run goes on.

A paper's run.py says three things: `parts(settings)` names independent pieces of work, each a function of nothing that
returns numbers; `claims(results)` turns all results into one list of values (one a seed) for each claim of
expected.json; `draw(results, path)` draws the figure.
"""

import hashlib
import importlib
import json
import time
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

ROOT = Path(__file__).parent
Parts = dict[str, Callable[[], dict[str, Any]]]
Results = dict[str, dict[str, Any]]


def keys() -> list[str]:
    """The papers that have an experiment."""
    return sorted(path.parent.name for path in ROOT.glob("*/run.py"))


@dataclass(frozen=True)
class Experiment:
    """The experiment of one paper, in its full size or the small one of CI, with results kept in a folder."""

    key: str
    small: bool
    kept: Path

    @property
    def code(self) -> ModuleType:
        """The paper's run.py."""
        return importlib.import_module(f"papers.{self.key}.run")

    def settings(self) -> dict[str, Any]:
        """Every number of the experiment: [full] of experiment.toml, with [small] laid over it in CI."""
        tables = tomllib.loads((ROOT / self.key / "experiment.toml").read_text(encoding="utf-8"))
        return tables["full"] | (tables["small"] if self.small else {})

    def names(self) -> list[str]:
        """All parts."""
        return list(self.code.parts(self.settings()))

    def remaining(self) -> list[str]:
        """The parts that were not done before."""
        done = dict(self._read())
        return [name for name in self.names() if name not in done]

    def results(self, say: Callable[[str], object] = lambda text: None) -> tuple[Results, float]:
        """The results of all parts, and their seconds of processor time; what was done before is not done again."""
        done, path = dict(self._read()), self._path()
        for name, part in self.code.parts(self.settings()).items():
            if name not in done:
                began = time.process_time()
                found = part()
                done[name] = {"result": found, "seconds": time.process_time() - began}
                _append(path, {"part": name, **done[name]})
                say(f"{self.key}: {name}, {done[name]['seconds']:.1f} s")
        wanted = self.code.parts(self.settings())
        return {name: done[name]["result"] for name in wanted}, sum(done[name]["seconds"] for name in wanted)

    def claims(self, results: Results) -> dict[str, list[float]]:
        """The values of each claim, one a seed."""
        return self.code.claims(results)

    def forget(self) -> None:
        """Throw away what was done before."""
        self._path().unlink(missing_ok=True)

    def _path(self) -> Path:
        """Where results are kept: a file for these settings and this code, so that none outlives either."""
        seen = hashlib.sha256(json.dumps(self.settings(), sort_keys=True).encode())
        for path in sorted((ROOT / self.key).glob("*.py")):
            seen.update(path.read_bytes())
        return self.kept / self.key / f"{seen.hexdigest()[:16]}.jsonl"

    def _read(self) -> Iterator[tuple[str, dict[str, Any]]]:
        if not self._path().exists():
            return
        for line in self._path().read_text(encoding="utf-8").splitlines(keepends=True):
            if line.endswith("\n"):
                row = json.loads(line)
                yield row.pop("part"), row


def _append(path: Path, row: dict[str, Any]) -> None:
    """Add a line; one that a killed run left half written is closed first, and read by nobody."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    with path.open("a", encoding="utf-8") as stream:
        stream.write(json.dumps(row) + "\n")
