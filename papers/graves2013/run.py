"""Phones of unsegmented speech: how deep, in which direction, and CTC or transducer."""

import time
from functools import partial
from typing import Any

from papers.experiment import Parts
from papers.graves2013.decoding import judged
from papers.graves2013.nets import Settings, trained

SPEECH = ("sample", "bands", "deltas", "stack", "speeds")
SEARCH = ("order", "weights", "bonuses", "beam", "beam_tried")


def parts(settings: Settings) -> Parts:
    """A net each."""
    found: Parts = {}
    for name, net in settings["ctc"].items():
        found[name] = partial(learned, described(settings, net), {each: settings[each] for each in SEARCH})
    return found


def described(settings: Settings, net: Settings, written: str = "phones", begins: Settings | None = None) -> Settings:
    """All that a network depends on."""
    speech = {name: settings[name] for name in SPEECH}
    return {**speech, "net": settings["common"] | net | settings["small"], "written": written, "begins": begins}


def learned(settings: Settings, search: Settings) -> dict[str, Any]:
    """Train a net: its error rates on the test part, its weights, its losses, seconds of the processor."""
    began = time.process_time()
    net = trained(settings)
    weights = sum(weight.numel() for weight in net.network_.parameters())
    taught = time.process_time() - began
    found = judged(net, settings | search)
    return {**found, "weights": weights, "losses": [row["loss"] for row in net.history_], "trained_in": taught}
