"""The networks: trained, and kept in a folder, so that another can begin with their layers."""

import hashlib
import json
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from carousel import Transcriber
from carousel.data.audio import SpeechFrontend
from papers.graves2013.speech import Part, material

Settings = dict[str, Any]
KEPT = Path("runs") / "papers" / "graves2013"


def data(settings: Settings) -> dict[str, Part]:
    """The recordings as the settings want them."""
    frontend = SpeechFrontend(**{name: settings[name] for name in ("bands", "deltas", "stack")})
    return material(settings["sample"], frontend, tuple(tuple(each) for each in settings["speeds"]))


def trained(settings: Settings) -> Transcriber:
    """Train the network of these settings, and keep it."""
    options = dict(settings["net"])
    if settings["begins"] is not None:
        options["pretrained"] = str(known(settings["begins"]))
    net, part = Transcriber(validation_fraction=0, **options), data(settings)["training"]
    net.fit(part.features, part.truths(settings["written"]))
    net.save(folder_of(settings))
    return net


def known(settings: Settings) -> Path:
    """The folder of the network of these settings, which is trained if it was not before."""
    if not folder_of(settings).is_dir():
        trained(settings)
    return folder_of(settings)


def folder_of(settings: Settings) -> Path:
    """Where the network of these settings is kept, under a name that changes with them and with this code.

    Those of the small size are trained by each process anew.
    """
    seen = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for name in ("nets.py", "speech.py"):
        seen.update((Path(__file__).parent / name).read_bytes())
    return (Path(_passing().name) if settings["sample"] else KEPT) / seen.hexdigest()[:16]


@cache
def _passing() -> tempfile.TemporaryDirectory[str]:
    """A folder that goes when the process ends."""
    return tempfile.TemporaryDirectory()
