"""What a transcriber begins with in place of chance: the layers of another run, and what texts say of themselves."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from carousel.data import IGNORED_LABEL
from carousel.nn import LSTM, NextLabel, Prediction

RATE = 3e-3
"""The step size at which a prediction network learns the next label."""


def copy_head(target: nn.Module, source: nn.Module) -> None:
    """Give a head the weights of another of its kind and sizes; what differs begins by chance."""
    wanted, found = ({name: weight.shape for name, weight in each.state_dict().items()} for each in (target, source))
    if type(target) is type(source) and wanted == found:
        target.load_state_dict(source.state_dict())


def copy_layers(target: LSTM, source: LSTM, run: str) -> None:
    """Give an LSTM stack the weights of another. Raises ValueError where cells, layers or sizes differ."""
    if target.cell != source.cell:
        raise ValueError(f"the network of {run} has another cell: {source.cell} in place of {target.cell}")
    wanted, found = (
        {name: tuple(weight.shape) for name, weight in each.state_dict().items()} for each in (target, source)
    )
    if wanted != found:
        odd = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))[0]
        raise ValueError(
            f"the network of {run} has other layers: its {odd} is {found.get(odd, 'not there')}, here it is "
            f"{wanted.get(odd, 'not there')}; take its hidden_size, num_layers, bidirectional and lstm_options"
        )
    target.load_state_dict(source.state_dict())


def learn_next_label(prediction: Prediction, texts: NDArray[np.int64], epochs: int, batch_size: int) -> float:
    """Teach a prediction network what label comes next in texts, (samples, longest), filled up with IGNORED_LABEL.

    What it learns above its LSTM is thrown away (Graves et al. 2013). Draws from torch's random numbers. Returns the
    mean of its last epoch's losses, in nats a text.
    """
    model = NextLabel(prediction)
    optimizer = torch.optim.Adam(model.parameters(), lr=RATE)
    labels = torch.from_numpy(texts).to(next(model.parameters()).device)
    losses: list[float] = []
    for _ in range(epochs):
        losses.clear()
        for chosen in torch.randperm(len(labels)).split(batch_size):
            own = labels[chosen.to(labels.device)]
            filling = own == IGNORED_LABEL
            counts = (~filling).sum(1)
            optimizer.zero_grad()
            loss = model.loss(own.masked_fill(filling, 0)[:, : int(counts.max())], counts)
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            losses.append(loss.item())
    return float(np.mean(losses))


def check_features(run: str, learned: Any, estimator: Any) -> None:
    """Raise ValueError where a run was made of other features than an estimator reads."""
    names, here = _names(learned), _names(estimator)
    if learned.channels_ != estimator.channels_ or (names and here and names != here):
        raise ValueError(
            f"{run} reads {learned.channels_} features a frame, and X has {estimator.channels_}, or others; take the "
            "same front end"
        )
    if learned.normalize != estimator.normalize:
        raise ValueError(
            f"{run} was made with normalize={learned.normalize!r}, here it is {estimator.normalize!r}; take the same"
        )


def _names(estimator: Any) -> list[str]:
    """What an estimator's features are called; nothing where they have no names."""
    return list(getattr(estimator, "feature_names_in_", ()))
