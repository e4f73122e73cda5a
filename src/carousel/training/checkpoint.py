"""A run in one file: safetensors, with JSON in its metadata. Nothing in it is ever executed."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from carousel.data import write_atomically

FORMAT = 1
_SECTIONS = ("identity", "progress", "method")


class CheckpointError(ValueError):
    """A checkpoint cannot be read, or belongs to another run."""


@dataclass(frozen=True)
class Checkpoint:
    """A run between two updates.

    tensors: by name, in the groups model, best, method and random, the group before the first dot.
    identity: what the run is, checked before it is resumed; progress: how far it is; method: the method's values.
    """

    tensors: dict[str, Tensor]
    identity: dict[str, Any]
    progress: dict[str, Any]
    method: dict[str, Any]

    def group(self, name: str) -> dict[str, Tensor]:
        """The tensors of one group, by their names in it."""
        prefix = f"{name}."
        return {key.removeprefix(prefix): value for key, value in self.tensors.items() if key.startswith(prefix)}

    def write(self, path: Path) -> None:
        """Write the file atomically. Raises OSError, with the previous checkpoint kept, when there is no room."""
        tensors = {name: _plain(tensor) for name, tensor in self.tensors.items()}
        facts = {"format": FORMAT, **{name: getattr(self, name) for name in _SECTIONS}}
        text = json.dumps(facts)
        content = save(tensors, {"carousel-checkpoint": text, "sha256": _digest(text, tensors)})
        try:
            write_atomically(path, content)
        except OSError as error:
            kept = "; the previous checkpoint is kept" if path.exists() else ""
            what = f"checkpoint {path} ({len(content) / 1e6:.1f} MB) cannot be written: {error.strerror}{kept}"
            raise OSError(error.errno, f"{what}. Free some space or choose another place") from None


def read_checkpoint(path: Path) -> Checkpoint:
    """The checkpoint in the file. Raises CheckpointError when the file is not a whole checkpoint."""
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a readable checkpoint, perhaps cut short ({error}); delete it to start anew"
        ) from None
    if "carousel-checkpoint" not in metadata:
        raise CheckpointError(f"{path} is a safetensors file, but no training checkpoint; choose another file")
    text = metadata["carousel-checkpoint"]
    if metadata.get("sha256") != _digest(text, tensors):
        raise CheckpointError(
            f"{path} was changed after it was written (its checksum differs); delete it to start anew"
        )
    return Checkpoint(tensors, **_sections(path, text))


def check_identity(path: Path, found: dict[str, Any], expected: dict[str, Any]) -> None:
    """Raise CheckpointError, naming what differs, unless the checkpoint's run is this run."""
    ours, theirs = dict(_leaves("", expected)), dict(_leaves("", found))
    changed = [
        f"{name} is {ours.get(name, 'absent')}, there {theirs.get(name, 'absent')}"
        for name in [*ours, *(name for name in theirs if name not in ours)]
        if ours.get(name) != theirs.get(name)
    ]
    if changed:
        more = f"; and {len(changed) - 4} more" if len(changed) > 4 else ""
        raise CheckpointError(
            f"{path} is the checkpoint of another run: {'; '.join(changed[:4])}{more}. "
            "Resume with the settings and data it began with, or delete it to start anew"
        )


def _sections(path: Path, text: str) -> dict[str, Any]:
    try:
        facts = json.loads(text)
    except (ValueError, RecursionError):
        facts = None
    facts = facts if isinstance(facts, dict) else {}
    version = facts.get("format")
    if isinstance(version, int) and version > FORMAT:
        raise CheckpointError(f"{path} has format {version} of a newer carousel; this one reads format {FORMAT}")
    if version != FORMAT or not all(isinstance(facts.get(name), dict) for name in _SECTIONS):
        raise CheckpointError(f"{path} does not hold what a checkpoint holds; delete it to start anew")
    return {name: facts[name] for name in _SECTIONS}


def _plain(tensor: Tensor) -> Tensor:
    """A tensor of its own on the CPU: tied weights are written twice and read back as equal."""
    return tensor.detach().to("cpu", copy=True).contiguous()


def _digest(text: str, tensors: dict[str, Tensor]) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        digest.update(f"{name} {tensors[name].dtype} {tuple(tensors[name].shape)}".encode())
        digest.update(tensor_bytes(tensors[name]))
    return digest.hexdigest()


def tensor_bytes(tensor: Tensor) -> memoryview:
    """The values of a tensor on the CPU, byte by byte."""
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data


def _leaves(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """The values inside nested dicts and lists, each with its path."""
    if isinstance(value, dict | list) and value:
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value, 1):
            yield from _leaves(f"{name} {key}".strip(), inner)
    else:
        yield name, json.dumps(value)
