"""Tasks of the literature that are drawn by a rule, as strings one after another with their targets."""

from carousel.data.synthetic.lags import long_lag, memorised, shuffled
from carousel.data.synthetic.order import temporal_order
from carousel.data.synthetic.pairs import marked_pairs
from carousel.data.synthetic.reber import embedded_reber
from carousel.data.synthetic.strings import Strings
from carousel.data.synthetic.two_sequences import two_sequences

__all__ = [
    "Strings",
    "embedded_reber",
    "long_lag",
    "marked_pairs",
    "memorised",
    "shuffled",
    "temporal_order",
    "two_sequences",
]
