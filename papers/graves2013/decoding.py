"""How networks are read off and judged: without a language model and with one, pauses counted and not."""

from itertools import product
from typing import Any

from carousel import Transcriber
from carousel.decoding import NGram
from carousel.metrics import error_rate
from papers.graves2013.nets import Settings, data
from papers.graves2013.speech import PAUSE, SPACE, Part

Reading = dict[str, Any]


def judged(net: Transcriber, settings: Settings) -> dict[str, Any]:
    """Error rates on the test part: best path, beam search, and with a language model chosen on the validation part."""
    parts, plain = data(settings), _search(settings["beam"])
    ways = {"best_path": plain | {"decoder": "best_path"}, "beam": plain}
    if settings["weights"]:
        ways["language"] = chosen(net, settings, parts)
    found = {name: rates(net, way, parts["test"], settings) for name, way in ways.items()}
    return found | {"chosen": list(ways.values())[-1]["decoder_options"]}


def rates(net: Transcriber, way: Reading, part: Part, settings: Settings) -> dict[str, float]:
    """The error rates of a part, read off in that way."""
    truths = part.truths(settings["written"])
    found = net.set_params(**way).predict(part.features)
    if settings["written"] == "phones":
        other = {"without pauses": error_rate(*([_without(text) for text in texts] for texts in (truths, found))).rate}
    else:
        other = {"words": error_rate(*([text.split(SPACE) for text in texts] for texts in (truths, found))).rate}
    return {"all": net.compare(truths, found)["cer"], **other}


def chosen(net: Transcriber, settings: Settings, parts: dict[str, Part]) -> Reading:
    """The search with the language model, weight and bonus that do best on the validation part."""
    texts = parts["training"].truths(settings["written"])[:: len(settings["speeds"])]
    model = NGram.estimate([list(text) for text in texts], settings["order"])
    ways = [
        _search(settings["beam_tried"])
        | {"language_model": model, "decoder_options": {"weight": weight, "bonus": bonus}}
        for weight, bonus in product(settings["weights"], settings["bonuses"])
    ]
    best = min(ways, key=lambda way: rates(net, way, parts["validation"], settings)["all"])
    return best | {"beam": settings["beam"]}


def _search(beam: int) -> Reading:
    return {"decoder": "prefix_beam", "beam": beam, "language_model": None, "decoder_options": None}


def _without(text: Any) -> list[str]:
    """The phones of a truth, or of what was read, but for pauses."""
    return [phone for phone in (text.split() if isinstance(text, str) else text) if phone != PAUSE]
