"""Nets together: what some with CTC say of several beginnings is read off as one; others help to rank it."""

from itertools import product
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from carousel import Transcriber
from carousel.data import Batch
from carousel.decoding import Hypothesis, NGram, PrefixBeam
from carousel.metrics import error_rate
from carousel.nn import pad_labels
from papers.graves2013.nets import Settings, data, known
from papers.graves2013.speech import Part

LogProbs = list[NDArray[np.float64]]
Scored = list[tuple[Hypothesis, float]]


def together(ctc: list[Settings], judges: list[Settings], search: Settings) -> dict[str, Any]:
    """The error rate on the test part; the weights of language model and judges are chosen on the other one."""
    several, helpers = ([Transcriber.load(known(each)) for each in nets] for nets in (ctc, judges))
    given = data(ctc[0] | {"speeds": [[1, 1]]})
    parts = {name: given[name] for name in ("validation", "test")}
    said = {name: mean(several, part) for name, part in parts.items()}
    beam = chosen(several[0], said["validation"], parts["validation"], search, given["training"])
    read = {name: [beam.n_best(own, None, search["readings"])[0] for own in said[name]] for name in parts}
    scored = {
        name: [judged(helpers, *each) for each in zip(part.features, read[name], strict=True)]
        for name, part in parts.items()
    }
    tried = {weight: rate(scored["validation"], parts["validation"], weight) for weight in search["judge_weights"]}
    best = min(tried, key=lambda weight: tried[weight])
    found = {"mean": rate(scored["test"], parts["test"], 0.0), "both": rate(scored["test"], parts["test"], best)}
    return {**found, "weight": best, "validation": {"mean": tried[0.0], "both": tried[best]}}


def mean(nets: list[Transcriber], part: Part) -> LogProbs:
    """The geometric mean of what nets say of each frame, whichever of the frames that are stacked comes first.

    They learned from each other, and spell in time.
    """
    said = [net.log_probabilities(frames) for net in nets for frames in (part.features, *part.later)]
    return [_normalised(np.mean(_of_one_length(own), axis=0)) for own in zip(*said, strict=True)]


def _of_one_length(said: tuple[NDArray[np.float64], ...]) -> list[NDArray[np.float64]]:
    """Those that begin later may be a frame shorter."""
    shortest = min(map(len, said))
    return [own[:shortest] for own in said]


def _normalised(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    return scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)


def chosen(net: Transcriber, said: LogProbs, part: Part, search: Settings, training: Part) -> PrefixBeam:
    """The beam search whose language model's weight and bonus do best on a part."""
    model, tried = NGram.estimate(training.phones, search["order"]), []
    for weight, bonus in product(search["weights"], search["bonuses"]):
        options = {"language_model": model, "weight": weight, "bonus": bonus}
        beam = PrefixBeam(net.alphabet_, search["beam_tried"], **options)
        found = [beam(own)[0].text.split() for own in said]
        tried.append((error_rate(part.phones, found).rate, options))
    best = min(tried, key=lambda pair: pair[0])[1]
    return PrefixBeam(net.alphabet_, search["beam"], **best)


def judged(judges: list[Transcriber], features: NDArray[np.float32], found: list[Hypothesis]) -> Scored:
    """Readings, and the sum of the log-probabilities that nets give to each, transducers or with CTC."""
    labels, counts = pad_labels([list(reading.labels) for reading in found])
    total = torch.zeros(len(found))
    for each in judges:
        net: Any = each.network_
        inputs = torch.from_numpy(each.input_scaler_.apply(features).astype(np.float32)).unsqueeze(1)
        with torch.no_grad():
            frames = net(Batch(inputs=inputs, indices=torch.zeros(1, dtype=torch.int64)))
            frames = frames.expand(-1, len(found), -1)
            total -= net.head.loss(frames, labels, [len(inputs)] * len(found), counts, "none")
    return list(zip(found, total.tolist(), strict=True))


def rate(read: list[Scored], part: Part, weight: float) -> float:
    """The error rate of the readings that are best by both."""
    best = [max(own, key=lambda each: each[0].score + weight * each[1])[0].text.split() for own in read]
    return error_rate(part.phones, best).rate
