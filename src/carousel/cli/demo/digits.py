"""The network of the demo: it reads strings of digits, learned once and kept in the user's cache folder."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from carousel.cli.console import say
from carousel.cli.errors import Interrupted
from carousel.cli.progress import train

if TYPE_CHECKING:
    from carousel.tasks import Transcriber

STRINGS, SEED = 6000, 0
FRONTEND: dict[str, Any] = {
    "groups": ("offset", "height", "direction", "curvature"), "size": "box", "spacing": 0.2, "lifts": False
}  # fmt: skip
LEARNING: dict[str, Any] = {
    "hidden_size": 48,
    "max_epochs": 8,
    "batch_size": 32,
    "buckets": 8,
    "validation_fraction": 0,
}


def digit_reader(strings: int = STRINGS) -> "Transcriber":
    """The network that was kept, or a new one, which is kept then; what happens is said on stderr.

    Raises Interrupted where Ctrl-C ended the training.
    """
    from carousel.tasks import Transcriber
    from carousel.tasks.persistence import ModelFileError

    folder = _folder(strings)
    if folder.exists():
        try:
            return Transcriber.load(folder)
        except ModelFileError as error:
            say(f"the network that was kept cannot be used, and is learned again: {error}")
    found = _learned(strings)
    try:
        found.save(folder)
        say(f"kept in {folder}, for the next time")
    except OSError as error:
        say(f"it could not be kept for the next time: {error}")
    return found


def _folder(strings: int) -> Path:
    """Where the network of this recipe is kept."""
    from carousel.data.corpora.sources import kept

    recipe = json.dumps([strings, SEED, FRONTEND, LEARNING], sort_keys=True)
    return kept(f"demo-digits-{hashlib.sha256(recipe.encode()).hexdigest()[:12]}")


def _learned(strings: int) -> "Transcriber":
    import numpy as np

    from carousel.data.corpora import digit_strings
    from carousel.data.ink import InkFrontend
    from carousel.tasks import Transcriber

    say(f"learning to read digits, once: {strings} strings joined from the handwritten digits of PenDigits")
    inks, texts = digit_strings("training", strings, np.random.default_rng(SEED))
    estimator = Transcriber(frontend=InkFrontend(**FRONTEND), random_state=SEED, **LEARNING)
    training = train(estimator.fit_reports(inks, texts), shown=True)
    if training.interrupted or training.last is None:
        raise Interrupted("the network was not learned to the end, and is not kept")
    return estimator
