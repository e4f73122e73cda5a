"""`carousel info`: versions, backends and why each runs or not, threads, devices."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from carousel.cli.console import table, write_json
from carousel.cli.options import Debug, Json

PACKAGES = {
    "carousel-lstm": "",
    "torch": "",
    "numpy": "",
    "scikit-learn": "",
    "safetensors": "",
    "narwhals": "frames",
    "pyarrow": "frames",
    "jinja2": "report",
    "plotly": "report",
    "matplotlib": "plots",
    "gymnasium": "control",
}
"""What is looked up, and the extra that brings it where the core does not."""


def info(*, json: Json = False, debug: Debug = False) -> None:
    """Say what is installed and what runs here: versions, backends, threads, devices."""
    found = {"versions": versions(), "backends": backends(), "kernels": kernels(), **machine()}
    if json:
        write_json(found)
        return
    table(("package", "version"), ([name, number or _absent(name)] for name, number in found["versions"].items()))
    table(
        ("backend", "plain lstm", "why"),
        ([name, "runs" if entry["runs"] else "no", entry["why"]] for name, entry in found["backends"].items()),
    )
    print(f"kernels {_in_words(found['kernels'])}")
    print(f"threads {found['threads']} of {found['cores']} cores; devices {', '.join(found['devices'])}")


def versions() -> dict[str, str | None]:
    """The version of Python and of each package, None where it is not installed."""
    return {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}}


def backends() -> dict[str, dict[str, Any]]:
    """What each backend says to the plain cell on this machine, the preferred one first."""
    from carousel.cells import find
    from carousel.cells.layout import Sizes
    from carousel.ops import example, explain

    choices = explain(find("lstm"), example(find("lstm"), time=32, batch=8, sizes=Sizes(16, 16)))
    return {choice.backend: {"runs": choice.runs, "why": choice.reason} for choice in choices}


def kernels() -> dict[str, Any]:
    """The instruction set of the compiled kernels, all that are usable here, and whose threads run them."""
    from carousel.ops.cpu import extension

    if extension.module is None:
        return {"built": False, "why": extension.missing}
    compiled = extension.module
    return {"built": True, "uses": compiled.target(), "usable": list(compiled.TARGETS), "runtime": compiled.runtime()}


def machine() -> dict[str, Any]:
    """Threads, cores and devices as torch sees them."""
    import os

    import torch

    devices = ["cpu"]
    devices += [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    devices += ["mps"] if torch.backends.mps.is_available() else []
    return {"threads": torch.get_num_threads(), "cores": os.cpu_count(), "devices": devices}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _in_words(found: dict[str, Any]) -> str:
    if not found["built"]:
        return f"none: {found['why']}"
    return f"{found['uses']} (of {', '.join(found['usable'])}); threads: {found['runtime']}"


def _absent(package: str) -> str:
    return f"not installed; extra `{PACKAGES[package]}`" if PACKAGES.get(package) else "not installed"
