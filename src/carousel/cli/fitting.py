"""A fit from its settings to its report: read, train, save, measure, show."""

from pathlib import Path
from typing import Any

from carousel.cli.errors import Interrupted, UsageError
from carousel.cli.findings import collect, write_report
from carousel.cli.flags import values_of
from carousel.cli.memory import asking_for_memory
from carousel.cli.outcome import show, summary
from carousel.cli.progress import Training, train
from carousel.cli.recipe import FILE, Recipe, resolve, sections
from carousel.cli.runs import RunDirectory
from carousel.cli.settings import assignments
from carousel.cli.studies import Study
from carousel.cli.yaml_text import read_file

SIZES = ("hidden_size", "num_layers", "batch_size", "horizon", "context", "rollout")
"""Settings of some task or other by which memory grows."""


def fit(task: str, call: Any, given: dict[str, Any]) -> None:
    """Carry out `carousel fit TASK`: `call` has the common options, `given` the settings that were options."""
    recipe, directory = _asked(task, call, given)
    _use_threads(recipe.run.threads)
    study = recipe.study()
    with asking_for_memory(**_sizes(recipe)):
        training = _train(study, recipe, directory, shown=not (call.quiet or call.json))
    if training.interrupted:
        raise Interrupted(_where_it_stopped(training, directory))
    findings = collect(study, recipe.settled(study.estimator), training)
    note = write_report(findings, directory.path)
    directory.checkpoint.unlink(missing_ok=True)
    show(summary(findings, directory.path, note), findings, json=call.json, quiet=call.quiet)


def _asked(task: str, call: Any, given: dict[str, Any]) -> tuple[Recipe, RunDirectory]:
    """The recipe and the directory, checked against each other."""
    config = call.config
    if call.resume:
        if call.out is None or call.config is not None:
            raise UsageError("--resume takes the settings from the run: name it by --out, and leave --config out")
        directory = RunDirectory(call.out, resume=True, force=call.force)
        directory.check()
        config = call.out / FILE
    values = {} if config is None else read_file(config)
    recipe = resolve(task, values, {**assignments(call.set or []), **_named(task, given)}, str(config or "this call"))
    if recipe.data.path is None:
        raise UsageError("there is no data: name a file or folder behind `fit " + task + "`, or data.path in --config")
    directory = RunDirectory(call.out or Path("runs") / Path(recipe.data.path).stem, call.resume, call.force)
    directory.check()
    if call.resume:
        directory.check_same(recipe)
    return recipe, directory


def _named(task: str, given: dict[str, Any]) -> dict[str, Any]:
    """The options by the settings' dotted names, as values."""
    found = sections(task)
    data = {f"data.{name}": value for name, value in values_of(found["data"], given).items()}
    return data | values_of(found["run"] | found["estimator"], given)


def _use_threads(threads: int) -> None:
    import torch

    if threads < 1:
        raise UsageError(f"threads is {threads}; it must be 1 or more")
    torch.set_num_threads(threads)


def _train(study: Study, recipe: Recipe, directory: RunDirectory, shown: bool) -> Training:
    """Train and save what was learned; a run that learned nothing leaves no directory."""
    reports = study.fit_reports(directory.checkpoint)
    directory.open(recipe.settled(study.estimator))
    try:
        training = train(reports, shown=shown)
        if training.last is not None:
            study.estimator.save(directory.path)
    except BaseException:
        directory.discard_empty()
        raise
    if training.last is None:
        directory.discard_empty()
    return training


def _sizes(recipe: Recipe) -> dict[str, Any]:
    """The settings that decide how much memory training takes, by name."""
    found = {name: recipe.parameters[name] for name in SIZES if recipe.parameters.get(name) is not None}
    options = recipe.parameters["method_options"] or {}
    return found | {f"method_options.{name}": value for name, value in options.items() if isinstance(value, int)}


def _where_it_stopped(training: Training, directory: RunDirectory) -> str:
    if training.last is None:
        return "nothing was learned yet, and nothing was written"
    done = f"in epoch {training.last.epoch} of {training.last.epochs}"
    return f"{done}; what was learned is saved in {directory.path}, --resume goes on from there"
