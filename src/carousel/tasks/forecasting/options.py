"""The parameters of a Forecaster, described once, and what follows from them alone."""

from abc import ABC
from dataclasses import dataclass
from typing import Any

from carousel.tasks.base import SequenceEstimator
from carousel.tasks.forecasting.network import NETWORKS
from carousel.tasks.forecasting.preparation import SCALINGS
from carousel.tasks.forecasting.quantiles import MEDIAN, with_median
from carousel.tasks.forecasting.tables import Roles, columns_of
from carousel.tasks.forecasting.windows import BASES
from carousel.tasks.parameters import parameter, redefault
from carousel.training import METHODS, Method

QUANTILES = (0.1, 0.5, 0.9)


def _default(name: str, value: Any) -> Any:
    return redefault(SequenceEstimator, name, value)


@dataclass(kw_only=True, eq=False, repr=False)
class ForecastParameters(SequenceEstimator, ABC):
    """What a Forecaster is told when it is made."""

    horizon: int = parameter(24, "steps ahead", minimum=1)
    context: int | None = parameter(None, "past steps that a forecast rests on; None: by season and horizon", minimum=1)
    lstm_context: int | None = parameter(
        None, "last steps of the context that the LSTM itself reads; None: at most 96", minimum=1
    )
    strategy: str = parameter("direct", "how the steps ahead are made", choices=tuple(NETWORKS))
    base: str = parameter("linear", "the simple forecast that the LSTM corrects", choices=BASES)
    quantiles: tuple[float, ...] | list[float] | None = parameter(
        None,
        "levels of the quantiles, the median always among them; None: 0.1, 0.5, 0.9, or the median alone where the "
        "method gives means, as dekf and evolino do",
    )
    season: int | None = parameter(None, "steps after which the series repeat themselves; None: guessed", minimum=1)
    scaling: str = parameter("standard", "what the numbers are divided by", choices=SCALINGS)
    scale_of: str = parameter("window", "whose numbers are scaled together", choices=("window", "series", "all"))
    nan: str = parameter("error", "what to do about missing values", choices=("error", "mask", "impute"))
    calendar: bool | None = parameter(
        None,
        "learn from the hour, the weekday and the day of the year, where there are dates; None: where the method can",
    )
    target: str | tuple | list | None = parameter(None, "columns to forecast, of a frame")
    series: str | None = parameter(None, "the column that names the series, of a long frame")
    time: str | None = parameter(None, "the column of times, of a frame")
    past_exog: str | tuple | list | None = parameter(None, "columns known up to the present, of a frame")
    future_exog: str | tuple | list | None = parameter(None, "columns known ahead, of a frame")
    static: str | tuple | list | None = parameter(None, "columns that do not change in a series, of a frame")
    stride: int = parameter(1, "steps between the training windows of a series", minimum=1)
    windows_per_epoch: int | None = parameter(
        None, "windows drawn in an epoch; None: 2048, or twice those there are where these are few", minimum=1
    )

    validation_fraction: float = parameter(
        0.1, "share of the series held out to stop early; 0 for none", minimum=0, below=1
    )
    hidden_size: int = _default("hidden_size", 32)
    max_epochs: int = _default("max_epochs", 20)
    batch_size: int = _default("batch_size", 128)
    patience: int | None = _default("patience", None)

    @property
    def _levels(self) -> tuple[float, ...]:
        """The levels of the quantiles that the network learns."""
        return with_median(self._setting("quantiles"))

    def _choices(self) -> dict[str, Any]:
        """All quantiles, unless the method learns the median alone, and the calendar, unless it cannot be read."""
        method, found = METHODS.get(self.method, Method), super()._choices()
        if self.quantiles is None:
            found = {**found, "quantiles": (MEDIAN,) if method.means else QUANTILES}
        if self.calendar is None:
            own_last_layer = method.furnish is not Method.furnish
            found = {**found, "calendar": not (own_last_layer and self.strategy == "direct")}
        return found

    @property
    def _roles(self) -> Roles:
        """The columns of a frame that were named."""
        named = (self.target, self.past_exog, self.future_exog, self.static)
        target, past, future, static = map(columns_of, named)
        return Roles(target, self.series, self.time, past, future, static)
