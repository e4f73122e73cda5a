"""What a fit is asked to do, in full: settings from defaults, a file, `--set` and options, checked and written back."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from carousel.cli.errors import UsageError
from carousel.cli.info import machine
from carousel.cli.settings import Setting, assign, checked, schema, settings_of
from carousel.cli.studies import Study, study_of
from carousel.cli.yaml_text import read_file, write_text
from carousel.data import atomic_path
from carousel.tasks import TASKS, SequenceEstimator
from carousel.tasks.parameters import check_parameters
from carousel.tasks.persistence import available

FILE = "config.yaml"
_OWN = ("random_state", "verbose")
"""Parameters that the command line sets by itself: from the seed, and from --quiet."""


@dataclasses.dataclass(frozen=True)
class RunSettings:
    """How a run is carried out."""

    seed: int = dataclasses.field(default=0, metadata={"help": "seed of weights, order, dropout and the held-out part"})
    threads: int = dataclasses.field(default=1, metadata={"help": "processor threads; small nets are fastest with one"})


@dataclasses.dataclass(frozen=True)
class Recipe:
    """The settings of one fit: those of the run, of the data, and the estimator's parameters."""

    task: str
    run: RunSettings
    data: Any
    parameters: dict[str, Any]

    def estimator(self) -> SequenceEstimator:
        """The estimator, unfitted. Raises UsageError for a parameter outside its range."""
        estimator = TASKS[self.task](**self.parameters, random_state=self.run.seed)
        try:
            check_parameters(estimator)
        except (ValueError, TypeError) as error:
            raise UsageError(str(error)) from None
        if available(estimator.device) != estimator.device:
            devices = ", ".join(machine()["devices"])
            raise UsageError(f"device is {estimator.device!r}; this machine has {devices}")
        return estimator

    def study(self) -> Study:
        """The estimator with its data, read and split. Raises what reading raises."""
        return study_of(TASKS[self.task])(self.estimator(), self.data, self.run.seed)

    def as_dict(self) -> dict[str, Any]:
        """All settings, as they stand in a file."""
        data = {name: _plain(value) for name, value in dataclasses.asdict(self.data).items()}
        parameters = {name: _plain(value) for name, value in self.parameters.items()}
        return {"task": self.task, "data": data, **dataclasses.asdict(self.run), **parameters}

    def settled(self, estimator: SequenceEstimator) -> "Recipe":
        """The same with what fitting made of the parameters that were left to the method."""
        return dataclasses.replace(self, parameters=self.parameters | vars(estimator).get("settled_", {}))

    def write(self, folder: Path) -> None:
        """Write config.yaml into a run's directory, atomically."""
        text = f"# carousel fit {self.task} --config {FILE} does this again\n{write_text(self.as_dict())}"
        with atomic_path(folder / FILE) as temporary:
            temporary.write_text(text, encoding="utf-8")


def sections(task: str) -> dict[str, dict[str, Setting]]:
    """The settings of a task by section: data, run, and the estimator's own."""
    kind = TASKS[task]
    own = settings_of(kind, without=_OWN)
    *most, last = kind._methods()
    own["method"] = dataclasses.replace(own["method"], help=f"how the network learns: {', '.join(most)} or {last}")
    return {
        "data": settings_of(study_of(kind).columns),
        "run": settings_of(RunSettings),
        "estimator": own,
    }


def resolve(task: str, config: Mapping[str, Any], assigned: Mapping[str, Any], where: str) -> Recipe:
    """The recipe of a task from the settings of a file, overridden by dotted names.

    where: what the settings are called in messages. Raises UsageError for the first one that cannot be.
    """
    found = sections(task)
    values: dict[str, Any] = {"task": task, **config}
    if values["task"] != task:
        raise UsageError(f"{where} is for `fit {values['task']}`, not `fit {task}`")
    for name, value in assigned.items():
        assign(values, name, value)
    data_model = schema("data", found["data"])
    model = schema(
        f"fit {task}",
        found["run"] | found["estimator"],
        task=(Literal[task], task),  # pyright: ignore[reportInvalidTypeForm]
        data=(data_model, Field(default_factory=data_model)),
    )
    words = {f"data.{name}": setting for name, setting in found["data"].items()} | found["run"] | found["estimator"]
    full = checked(model, values, words, where).model_dump()
    return Recipe(
        task,
        RunSettings(**{name: full[name] for name in found["run"]}),
        study_of(TASKS[task]).columns(**{name: _frozen(value) for name, value in full["data"].items()}),
        {name: _frozen(full[name]) for name in found["estimator"]},
    )


def read_recipe(run: Path) -> Recipe:
    """The recipe of a run. Raises UsageError for a run without one, or with one that cannot be."""
    if not (run / FILE).is_file():
        raise UsageError(f"{run} has no {FILE}: it is no run of `carousel fit`, so its columns are unknown")
    values = read_file(run / FILE)
    if values.get("task") not in TASKS:
        raise UsageError(f"{run / FILE} is for the task {values.get('task')!r}; there are {', '.join(TASKS)}")
    return resolve(values["task"], values, {}, str(run / FILE))


def _plain(value: Any) -> Any:
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
