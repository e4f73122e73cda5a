"""What a network reads in a drawing, and what its memory does meanwhile, as JSON for the page."""

import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from carousel.cli.errors import UsageError
from carousel.data import DataError
from carousel.data.ink import Ink, InkFrontend, as_ink
from carousel.tasks.transcripts import frontend_named

if TYPE_CHECKING:
    from carousel.tasks import Transcriber

STROKES, POINTS, FRAMES, FARTHEST = 500, 20_000, 2_000, 1e5
READINGS, UNITS, SPOKEN = 5, 64, 0.1
PARTS = {
    "cell": "cell state",
    "input": "input gate",
    "forget": "forget gate",
    "output": "output gate",
    "hidden": "hidden state",
}


class Reader:
    """A transcriber of pen strokes, asked by one thread at a time.

    Raises UsageError for a transcriber that reads something else.
    """

    def __init__(self, estimator: "Transcriber") -> None:
        frontend = frontend_named(estimator.frontend, estimator.frontend_options)
        if not isinstance(frontend, InkFrontend):
            kind = "features" if frontend is None else frontend.kind
            raise UsageError(f"the run reads {kind}, not pen strokes; give one that was fitted with frontend='ink'")
        if estimator.decoder != "prefix_beam":
            estimator.set_params(decoder="prefix_beam")
        self.estimator, self.frontend, self._lock = estimator, frontend, threading.Lock()

    def facts(self) -> dict[str, Any]:
        """What the page says of the network."""
        lstm: Any = self.estimator.network_.lstm
        probe = self.estimator.trace([as_ink([[[0, 0], [1, 1], [2, 0]]])])[0][-1]
        return {
            "symbols": list(self.estimator.alphabet_.symbols),
            "lifts": self.frontend.lifts,
            "layers": lstm.num_layers,
            "units": probe["cell"].shape[1],
            "weights": sum(weight.numel() for weight in self.estimator.network_.parameters()),
            "bidirectional": lstm.bidirectional,
            "parts": {name: title for name, title in PARTS.items() if name in probe},
        }

    def read(self, strokes: Any, part: str = "cell", backward: bool = False) -> dict[str, Any]:
        """Texts, symbols with their places, and a part of the last layer's memory over time.

        Raises DataError for what cannot be read.
        """
        ink = self._ink(strokes)
        with self._lock:
            heard = self.estimator.features([ink])
            readings = self.estimator.predict_n_best(heard, READINGS)[0]
            outputs = np.exp(self.estimator.log_probabilities(heard)[0])
            layers = self.estimator.trace(heard)[0]
        places = self.frontend.places(ink) * (1, -1)
        return {
            "text": readings[0].text,
            "readings": [{"text": own.text, "probability": _rounded(np.exp(own.log_probability))} for own in readings],
            "symbols": [
                {"symbol": own.symbol, "confidence": _rounded(own.confidence), "start": own.start, "end": own.end}
                for own in readings[0].symbols
            ],
            "places": places.round(1).tolist(),
            "begins": self._begins(ink),
            "says": self._says(outputs),
            "memory": _memory(self._layer(layers, backward), part).round(2).tolist(),
        }

    def _layer(self, layers: list[Any], backward: bool) -> dict[str, NDArray[np.float64]]:
        """The last layer's trace in one direction."""
        if not self.estimator.network_.lstm.bidirectional:
            return layers[-1]
        return layers[-1] if backward else layers[-2]

    def _ink(self, strokes: Any) -> Ink:
        if not isinstance(strokes, list) or not all(isinstance(stroke, list) for stroke in strokes):
            raise DataError("strokes must be a list of strokes, each a list of points [x, y]")
        points = sum(map(len, strokes))
        if len(strokes) > STROKES or points > POINTS:
            raise DataError(
                f"there are {len(strokes)} strokes of {points} points; {STROKES} and {POINTS} are the most: "
                "clear the page"
            )
        ink = as_ink(strokes, down=True)
        if np.abs(ink.points).max() > FARTHEST:
            raise DataError(f"a point lies farther out than {FARTHEST:g}; give places on the page")
        if (frames := self._frames(ink)) > FRAMES:
            raise DataError(
                f"the ink is too long for its height: {frames:.0f} points to read, and {FRAMES} are the most; "
                "clear the page, and write a little bigger"
            )
        return ink

    def _frames(self, ink: Ink) -> float:
        """How many points the features will have, about, before they are made."""
        if self.frontend.spacing is None:
            return len(ink.points)
        moved = replace(self.frontend, spacing=None).alike(ink)
        ways = [np.hypot(*np.diff(stroke, axis=0).T).sum() for stroke in moved.strokes]
        return float(sum(max(2.0, way / self.frontend.spacing + 1) for way in ways))

    def _begins(self, ink: Ink) -> list[int]:
        """The frame at which each stroke begins, as the network knows strokes."""
        lengths = [len(stroke) for stroke in self.frontend.alike(ink).strokes]
        return [0, *np.cumsum(lengths[:-1]).tolist()]

    def _says(self, outputs: NDArray[np.float64]) -> dict[str, list[float]]:
        """The probability of each symbol over time, of those that are ever likely."""
        alphabet = self.estimator.alphabet_
        likely = [label for label in range(len(alphabet)) if outputs[:, label].max() >= SPOKEN]
        return {
            alphabet.symbol(label): outputs[:, label].round(3).tolist() for label in likely if label != alphabet.blank
        }


def _memory(layer: dict[str, NDArray[np.float64]], part: str) -> NDArray[np.float64]:
    """A part of a layer (time, units): gates from 0 to 1, cell states squashed by tanh, as most cells show them."""
    if part not in PARTS or part not in layer:
        raise DataError(f"show is {part!r}; this network has {', '.join(name for name in PARTS if name in layer)}")
    values = layer[part][:, :UNITS]
    return np.tanh(values) if part == "cell" else values


def _rounded(value: Any) -> float:
    return float(f"{float(value):.4g}")
