"""What happens inside: the gates and the memory of a small LSTM that follows forty years of carbon dioxide.

Eight cells learn to say, from the weekly record of Mauna Loa, where it will be a season later. `trace` gives every gate
and every cell state at every step. The air holds most carbon dioxide in May; the cells peak one after another through
the year, and so tell the time by it. `docs/figures.py` draws this.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import carousel
from carousel.data.datasets import load

AHEAD, CHUNK, UNITS, UPDATES = 13, 104, 8, 150
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Memory:
    """The record (weeks,), and what the LSTM did at each week: gates and states, each (weeks, units)."""

    dates: NDArray[np.datetime64]
    ppm: Array
    inside: dict[str, Array]

    def peaks(self) -> Array:
        """When in the year each cell stands highest, as a share of the year from 1 January on, (units,)."""
        days = (self.dates.astype("datetime64[D]") - self.dates.astype("datetime64[Y]")).astype(np.float64)
        state = self.inside["cell"] - self.inside["cell"].mean(axis=0)
        wave = np.exp(2j * np.pi * days / 365.25) @ state
        return np.angle(wave) / (2 * np.pi) % 1


def record() -> tuple[NDArray[np.datetime64], Array]:
    """Dates and ppm, with the few missing weeks filled in by straight lines."""
    table = load("co2")
    ppm, weeks = table.column("ppm"), np.arange(len(table))
    known = ~np.isnan(ppm)
    return table.column("date"), np.interp(weeks, weeks[known], ppm[known])


def detrended(ppm: Array) -> Tensor:
    """The record as (weeks, 1, 1), without its slow rise, in standard deviations."""
    weeks = np.arange(len(ppm))
    wave = ppm - np.polynomial.Polynomial.fit(weeks, ppm, 3)(weeks)
    return torch.as_tensor(wave / wave.std(), dtype=torch.float32).reshape(-1, 1, 1)


def learn(series: Tensor) -> carousel.LSTM:
    """Train on chunks of two years."""
    torch.manual_seed(1)
    lstm, head = carousel.LSTM(1, UNITS, cell="peephole", forget_bias=2.0), nn.Linear(UNITS, 1)
    optimizer = torch.optim.Adam([*lstm.parameters(), *head.parameters()], lr=0.02)
    for _ in range(UPDATES):
        starts = torch.randint(0, len(series) - CHUNK - AHEAD, (16,)).tolist()
        x = torch.cat([series[at : at + CHUNK] for at in starts], dim=1)
        y = torch.cat([series[at + AHEAD : at + AHEAD + CHUNK] for at in starts], dim=1)
        loss = (head(lstm(x)[0]) - y).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return lstm


def remember() -> Memory:
    """Train, then watch the LSTM read the whole record."""
    dates, ppm = record()
    series = detrended(ppm)
    lstm = learn(series)
    with torch.no_grad():
        (layer,) = lstm.trace(series)
    return Memory(dates, ppm, {name: value[:, 0].double().numpy() for name, value in layer.items()})


def main() -> None:
    memory = remember()
    print("each step holds", ", ".join(f"{name} {values.shape}" for name, values in memory.inside.items()))
    forget = memory.inside["forget"].mean(axis=0)
    for unit, peak in enumerate(memory.peaks()):
        day = (np.datetime64("2001-01-01") + int(365.25 * peak)).item()
        half_life = np.log(0.5) / np.log(forget[unit])
        print(f"cell {unit} is fullest about {day:%d %B}; half of what it holds is gone after {half_life:.1f} weeks")


if __name__ == "__main__":
    main()
