"""Networks that read pen strokes, and a server of the demo."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from carousel.cli.demo.digits import FRONTEND
from carousel.cli.demo.reading import Reader
from carousel.cli.demo.server import InkServer
from carousel.data.corpora import digit_strings
from carousel.data.ink import InkFrontend
from carousel.tasks import Transcriber


def learned(strings: int, epochs: int, hidden: int) -> Transcriber:
    """A reader of one or two digits."""
    inks, texts = digit_strings("training", strings, np.random.default_rng(0), longest=2)
    quick: dict[str, Any] = {"max_epochs": epochs, "hidden_size": hidden, "batch_size": 16, "validation_fraction": 0}
    return Transcriber(frontend=InkFrontend(**FRONTEND), random_state=0, **quick).fit(inks, texts)


@pytest.fixture(scope="session")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of a network that has hardly learned anything."""
    folder = tmp_path_factory.mktemp("hasty") / "run"
    learned(40, 1, 6).save(folder)
    return folder


@pytest.fixture
def server(hasty: Path) -> Iterator[InkServer]:
    """A server of the demo, in a thread."""
    with serving(Transcriber.load(hasty)) as found:
        yield found


class serving:
    """A server of a network, as long as it is needed."""

    def __init__(self, estimator: Transcriber) -> None:
        self.server = InkServer(0, Reader(estimator))

    def __enter__(self) -> InkServer:
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()
        return self.server

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
