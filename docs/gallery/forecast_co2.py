"""Forecast carbon dioxide a quarter ahead, with intervals, and measure it on years that training did not see.

The forecaster corrects a linear autoregression by an LSTM, so that line is the rival to look at, more than the seasonal
naive forecast ("as a year ago"), which any method beats on a rising curve. So smooth a record leaves the LSTM little to
correct: whether it helps is what a backtest is for, and whoever wins stands on top.
"""

import numpy as np

from carousel import Forecaster
from carousel.data.datasets import load


def main() -> None:
    record = load("co2")
    print(f"{len(record)} weeks, {np.isnan(record.column('ppm')).sum()} of them without a value")
    forecaster = Forecaster(target="ppm", horizon=13, nan="mask", max_epochs=4, windows_per_epoch=1024, random_state=0)

    backtest = forecaster.backtest(record, step=4)
    print(f"\nmean error on the last tenth, {len(backtest)} forecasts of 13 weeks each:")
    for name, scores in sorted(backtest.scores.items(), key=lambda entry: entry[1]["mae"]):
        print(f"  {scores['mae']:6.2f} ppm  {name}")
    by_week = backtest.errors_by_step()
    print(f"one week ahead {by_week[0]:.2f} ppm, thirteen weeks ahead {by_week[-1]:.2f} ppm")
    hit, meant = backtest.scores["model"]["coverage"], backtest.nominal
    print(f"the truth lay inside {hit:.0%} of the intervals that should hold {meant:.0%}")

    forecaster.fit(record)
    forecast = forecaster.predict()
    assert forecast.times is not None
    low, high = forecast.interval(0.8)
    print("\nafter the record's end:")
    for week in (0, 6, 12):
        print(f"  {forecast.times[0][week][:10]}  {forecast.median[week]:.1f} ppm, {low[week]:.1f} to {high[week]:.1f}")


if __name__ == "__main__":
    main()
