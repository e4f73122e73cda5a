"""The directory of a run while it is made: refused, resumed or replaced, and never left half empty."""

import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from carousel.cli.errors import UsageError
from carousel.cli.recipe import FILE, Recipe, read_recipe
from carousel.tasks.persistence import CHECKPOINT, CONFIG

WORKERS = "workers"


@dataclass
class RunDirectory:
    """A directory that a fit writes to.

    resume: go on with the run that is there; force: replace it.
    """

    path: Path
    resume: bool = False
    force: bool = False
    _made: list[Path] = field(default_factory=list, init=False)

    @property
    def checkpoint(self) -> Path:
        """Where training is saved while it goes on."""
        return self.path / CHECKPOINT

    @property
    def is_run(self) -> bool:
        """Whether a run is there, complete or not."""
        return any((self.path / name).is_file() for name in (FILE, CONFIG, CHECKPOINT))

    def check(self) -> None:
        """Raise UsageError where the directory cannot be used as asked."""
        if self.resume and self.force:
            raise UsageError("--resume goes on with a run and --force replaces it; take one of them")
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"--out {self.path} is a file; give a directory")
        if self.resume:
            self._check_resumable()
        elif self.is_run and not self.force:
            raise UsageError(
                f"--out {self.path} holds a run already; go on with it by --resume, replace it by --force, "
                "or give another directory"
            )
        elif not self.is_run and self.path.is_dir() and any(self.path.iterdir()):
            raise UsageError(f"--out {self.path} holds files that are no run; give a new or empty directory")

    def _check_resumable(self) -> None:
        if not (self.path / FILE).is_file():
            raise UsageError(f"--resume: there is no run in {self.path}; leave --resume out to begin one")
        if (self.path / CONFIG).is_file() and not self.checkpoint.is_file():
            raise UsageError(f"--resume: the run in {self.path} is finished; replace it by --force")

    def check_same(self, recipe: Recipe) -> None:
        """Raise UsageError where a resumed run would get other settings than it began with."""
        began, now = (_without_workers(each.as_dict()) for each in (read_recipe(self.path), recipe))
        for name in now:
            if now[name] != began[name]:
                raise UsageError(
                    f"--resume goes on with the settings in {self.path / FILE}: {name} is {began[name]!r} there and "
                    f"{now[name]!r} here; leave it out, or begin a new run"
                )

    def open(self, recipe: Recipe) -> None:
        """Make the directory ready for training, and write the recipe into it."""
        if self.force and self.is_run:
            shutil.rmtree(self.path)
        self._made = [folder for folder in (self.path, *self.path.parents) if not folder.exists()]
        self.path.mkdir(parents=True, exist_ok=True)
        if not self.resume:
            recipe.write(self.path)

    def discard_empty(self) -> None:
        """Remove the directory again, with the parents that it needed, where nothing was learned."""
        if not self.checkpoint.exists() and not (self.path / CONFIG).exists():
            shutil.rmtree(self.path, ignore_errors=True)
            with suppress(OSError):
                for folder in self._made[1:]:
                    folder.rmdir()


def _without_workers(settings: dict[str, Any]) -> dict[str, Any]:
    """What a run is: who computes it is no part of that."""
    options = {name: value for name, value in (settings["method_options"] or {}).items() if name != WORKERS}
    return {name: value for name, value in settings.items() if name != WORKERS} | {"method_options": options}
