"""Save a fitted estimator to a directory and load it: safetensors and JSON, no pickle, nothing executed.

config.json names the format's version, the class and its parameters; preprocessing.json holds what fitting learned
about the data; model.safetensors the weights; history.json one row an epoch.
"""

import dataclasses
import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialised
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from carousel.tasks.base import SequenceEstimator
from carousel.tasks.codec import from_json, to_json
from carousel.tasks.parameters import check_parameters, matches
from carousel.tasks.registry import ESTIMATORS

FORMAT = 1
CONFIG, PREPROCESSING, WEIGHTS, HISTORY = "config.json", "preprocessing.json", "model.safetensors", "history.json"
CHECKPOINT = "checkpoint.safetensors"
"""The file of a run whose training goes on; it marks a directory as a run before the first `save`."""
LARGEST_JSON = 64 * 2**20


class ModelFileError(ValueError):
    """A model directory that cannot be read; the message says what is wrong with which file."""


def save(estimator: SequenceEstimator, directory: str | os.PathLike[str]) -> None:
    """Write a fitted estimator, atomically: until the new run is complete on disk, the old one stays.

    Other files of an existing run (a report, a checkpoint) are kept.
    Raises NotFittedError, FileExistsError where the directory holds something else, OSError when it cannot be written.
    """
    check_is_fitted(estimator)
    target = Path(os.path.realpath(directory))
    _check_target(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{target.name}.", suffix=".part", dir=target.parent))
    try:
        _write(estimator, fresh)
        _keep_others(target, fresh)
        _swap(fresh, target)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def load(directory: str | os.PathLike[str]) -> Any:
    """Read the estimator that `save` wrote, of whichever class it is.

    Raises ModelFileError (a ValueError) for a directory that is missing a file, damaged, altered, or of a newer
    version. A device that this machine lacks becomes the CPU.
    """
    folder = _existing(Path(directory))
    config = _json(folder / CONFIG)
    estimator = _estimator(folder / CONFIG, config)
    _set_learned(folder / PREPROCESSING, estimator)
    estimator.network_ = _network(folder / WEIGHTS, estimator)
    estimator.history_ = _history(folder / HISTORY)
    return estimator


def parameters_json(estimator: SequenceEstimator) -> dict[str, Any]:
    """An estimator's parameters as plain JSON, as fitting settled them; a random generator becomes None."""
    values = {field.name: estimator._setting(field.name) for field in dataclasses.fields(estimator)}
    if not isinstance(values["random_state"], int | None):
        values["random_state"] = None
    return {name: to_json(value, name) for name, value in values.items()}


def _write(estimator: SequenceEstimator, folder: Path) -> None:
    config = {"format": FORMAT, "class": type(estimator).__name__, "parameters": parameters_json(estimator)}
    learned = {name: to_json(getattr(estimator, name, None), name) for name in estimator._learned}
    weights = {
        name: value.detach().cpu().contiguous().clone() for name, value in estimator.network_.state_dict().items()
    }
    for name, content in ((CONFIG, config), (PREPROCESSING, learned), (HISTORY, estimator.history_)):
        (folder / name).write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    (folder / WEIGHTS).write_bytes(serialised(weights))
    for path in folder.iterdir():
        _sync(path)
    _sync(folder)


def _check_target(target: Path) -> None:
    if target.exists() and not target.is_dir():
        raise FileExistsError(f"{target} is a file; give a directory")
    is_run = any((target / name).exists() for name in (CONFIG, CHECKPOINT))
    if target.is_dir() and any(target.iterdir()) and not is_run:
        raise FileExistsError(f"{target} holds files but no {CONFIG}, so it is no run; give a new or empty directory")


def _keep_others(target: Path, fresh: Path) -> None:
    """Bring along the files of the old run that this one does not write."""
    if not target.is_dir():
        return
    for path in target.iterdir():
        if (fresh / path.name).exists():
            continue
        if path.is_dir():
            shutil.copytree(path, fresh / path.name, symlinks=True)
        else:
            shutil.copy2(path, fresh / path.name, follow_symlinks=False)


def _previous(target: Path) -> Path:
    return target.with_name(f".{target.name}.previous")


def _swap(fresh: Path, target: Path) -> None:
    """Put the fresh run in the place of the old one, which is set aside first and found there by `load`."""
    fresh.chmod(0o755)
    aside = _previous(target)
    if target.is_dir():
        shutil.rmtree(aside, ignore_errors=True)
        os.rename(target, aside)
    try:
        os.rename(fresh, target)
    except BaseException:
        if aside.is_dir() and not target.exists():
            os.rename(aside, target)
        raise
    _sync(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _existing(directory: Path) -> Path:
    if directory.is_dir():
        return directory
    if (aside := _previous(directory)).is_dir():
        return aside
    raise ModelFileError(f"there is no directory {directory}; give the one that a model was saved to")


def _regular(path: Path) -> Path:
    if not path.is_file():
        raise ModelFileError(f"{path.parent} has no file {path.name}; it is no complete model directory")
    return path


def _json(path: Path) -> Any:
    if _regular(path).stat().st_size > LARGEST_JSON:
        raise ModelFileError(f"{path} has {path.stat().st_size:,} bytes; more than {LARGEST_JSON:,} are not read")
    try:
        return json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise ModelFileError(f"{path} is damaged: it is no JSON ({error})") from None


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _estimator(path: Path, config: Any) -> SequenceEstimator:
    if not isinstance(config, dict) or not isinstance(config.get("format"), int):
        raise ModelFileError(f"{path} names no format version; it was not written by carousel")
    if config["format"] > FORMAT:
        raise ModelFileError(
            f"{path} has format {config['format']}, this carousel reads up to {FORMAT}; upgrade carousel"
        )
    if unexpected := set(config) ^ {"format", "class", "parameters"}:
        raise ModelFileError(
            f"{path} must hold format, class and parameters alone; {', '.join(sorted(unexpected))} differ"
        )
    kind = ESTIMATORS.get(config["class"]) if isinstance(config["class"], str) else None
    if kind is None:
        raise ModelFileError(f"{path} names the class {config['class']!r}; known are {', '.join(ESTIMATORS)}")
    return _built(path, kind, config["parameters"])


def _built(path: Path, kind: type[SequenceEstimator], parameters: Any) -> SequenceEstimator:
    known = {field.name for field in dataclasses.fields(kind)}
    if not isinstance(parameters, dict) or set(parameters) != known:
        wrong = sorted(set(parameters) ^ known) if isinstance(parameters, dict) else ["parameters"]
        raise ModelFileError(f"{path} disagrees with the parameters of {kind.__name__} in {', '.join(wrong)}")
    try:
        estimator = kind(**from_json(parameters))
        check_parameters(estimator)
    except (ValueError, TypeError) as error:
        raise ModelFileError(f"{path} has a parameter that cannot be: {error}") from None
    estimator.device = available(estimator.device)
    return estimator


def available(device: str) -> str:
    """The device where this machine has it and can compute on it, else "cpu"."""
    try:
        torch.empty(0, device=device).cpu()
    except (RuntimeError, AssertionError, NotImplementedError):
        return "cpu"
    return device


def _set_learned(path: Path, estimator: SequenceEstimator) -> None:
    content = _json(path)
    if not isinstance(content, dict) or set(content) != set(estimator._learned):
        raise ModelFileError(f"{path} must hold {', '.join(estimator._learned)}; it does not")
    try:
        for name, hint in estimator._learned.items():
            value = from_json(content[name])
            if not matches(value, hint):
                raise ValueError(f"{name} is {value!r:.80}")
            if value is not None:
                setattr(estimator, name, value)
        estimator._check_learned()
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise ModelFileError(f"{path} has values that cannot be: {error}") from None


def _history(path: Path) -> list[dict[str, Any]]:
    rows = _json(path)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ModelFileError(f"{path} must hold a list with one dictionary an epoch")
    return rows


def _network(path: Path, estimator: SequenceEstimator) -> torch.nn.Module:
    """The network that config.json describes, with the weights; shapes are compared before memory is used."""
    try:
        with safe_open(_regular(path), framework="pt") as file:
            network = _skeleton(path, estimator, len(file.keys()))
            _check_tensors(path, network.state_dict(), file)
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise ModelFileError(f"{path} is damaged: {error}") from None
    if bad := [name for name, value in weights.items() if not value.isfinite().all()]:
        raise ModelFileError(f"{path} has NaN or infinite weights in {bad[0]}")
    network.load_state_dict(weights, assign=True)
    return network.to(estimator.device).eval()


def _skeleton(path: Path, estimator: SequenceEstimator, tensors: int) -> torch.nn.Module:
    """The network without memory, on torch's meta device."""
    widest = estimator.hidden_size
    if estimator.num_layers > tensors or widest * 4 > path.stat().st_size:
        raise ModelFileError(f"{path} is too small for the {estimator.num_layers} layers of {widest} units in {CONFIG}")
    try:
        with torch.device("meta"):
            return estimator._furnished()
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise ModelFileError(f"{path.parent / CONFIG} describes a network that cannot be built: {error}") from None


def _check_tensors(path: Path, expected: dict[str, Tensor], file: Any) -> None:
    if wrong := set(expected) ^ set(file.keys()):
        raise ModelFileError(f"{path} does not fit {CONFIG}: it differs in the tensors {', '.join(sorted(wrong)[:5])}")
    for name, tensor in expected.items():
        part = file.get_slice(name)
        shape, dtype = tuple(part.get_shape()), part.get_dtype()
        if shape != tuple(tensor.shape) or dtype != "F32":
            raise ModelFileError(
                f"{path} has {name} of shape {shape} and type {dtype}; {CONFIG} needs {tuple(tensor.shape)} and F32"
            )
