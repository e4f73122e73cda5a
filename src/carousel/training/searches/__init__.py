"""Searches without gradients: `ask()` for a population of parameter vectors, `tell(scores)` how wrong each is."""

from carousel.training.searches.covariance import CMA
from carousel.training.searches.distribution import PGPE, SNES, OpenAIES
from carousel.training.searches.genetic import GA
from carousel.training.searches.neuroevolution import ESP, CoSyNE
from carousel.training.searches.search import SEARCHES, AskTell, Search, search_named

__all__ = [
    "CMA",
    "ESP",
    "GA",
    "PGPE",
    "SEARCHES",
    "SNES",
    "AskTell",
    "CoSyNE",
    "OpenAIES",
    "Search",
    "search_named",
]
