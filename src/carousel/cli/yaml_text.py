"""YAML as settings need it: plain data only, 1e-3 is a number, and no key twice."""

import re
from pathlib import Path
from typing import Any

import yaml

from carousel.cli.errors import UsageError

LARGEST = 2**20


class _Loader(yaml.SafeLoader):
    """Safe YAML that refuses a key that comes twice."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """A mapping; raises where YAML would let the last of two equal keys win."""
        names = [key.value for key, _ in node.value]
        if twice := [name for name in names if names.count(name) > 1]:
            raise yaml.constructor.ConstructorError(None, None, f"{twice[0]!r} is set twice", node.start_mark)
        return super().construct_mapping(node, deep)


class _Dumper(yaml.SafeDumper):
    """Safe YAML that quotes what the loader would read as something else than text."""


for _side in (_Loader, _Dumper):
    _side.add_implicit_resolver(
        "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
    )
    _side.add_implicit_resolver("tag:yaml.org,2002:null", re.compile(r"^[Nn]one$"), list("Nn"))


def read_value(text: str) -> Any:
    """The value of a piece of YAML; text that is no YAML stands for itself."""
    try:
        return _parse(text)
    except yaml.YAMLError:
        return text


def read_file(path: Path) -> dict[str, Any]:
    """The settings in a YAML file.

    Raises UsageError for a file that is no mapping or no YAML, OSError for one that cannot be read.
    """
    if path.stat().st_size > LARGEST:
        raise UsageError(f"{path} has {path.stat().st_size:,} bytes; a file of settings has at most {LARGEST:,}")
    try:
        values = _parse(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is no YAML: {' '.join(str(error).split())}") from None
    if values is None:
        return {}
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UsageError(f"{path} holds no settings; write lines such as `hidden_size: 128`")
    return values


def write_text(values: dict[str, Any]) -> str:
    """The settings as YAML, in their order."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False)


def _parse(text: str) -> Any:
    loader = _Loader(text)
    try:
        return loader.get_single_data()
    finally:
        loader.dispose()
