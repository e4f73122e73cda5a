"""The next values of series: an LSTM's quantile forecasts, calibrated, and measured beside simple rules."""

from carousel.tasks.forecasting.backtest import Backtest
from carousel.tasks.forecasting.estimator import Forecaster
from carousel.tasks.forecasting.forecast import Forecast

__all__ = ["Backtest", "Forecast", "Forecaster"]
