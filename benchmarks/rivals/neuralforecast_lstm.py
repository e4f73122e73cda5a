"""neuralforecast's LSTM with its defaults: reads a series, learns from its head, forecasts from every later origin.

Runs in the rivals' environment: `python neuralforecast_lstm.py REQUEST.json ANSWER.json`. The request names a CSV with
the columns ds and y, the horizon, the frequency in pandas' words, and the first row that is forecast.
"""

import json
import logging
import os
import sys
import time
import warnings
from importlib.metadata import version

import pandas as pd
import torch
from neuralforecast import NeuralForecast
from neuralforecast.models import LSTM

SECONDS: dict[str, dict[str, float]] = {}


class TimedLSTM(LSTM):
    """The same model; only how long its two steps take is noted."""

    def fit(self, *args, **kwargs):
        """Learn, timed."""
        return timed("fit", super().fit, *args, **kwargs)

    def predict(self, *args, **kwargs):
        """Forecast, timed."""
        return timed("predict", super().predict, *args, **kwargs)


def timed(name, function, *args, **kwargs):
    """Call a function and note its wall and processor seconds."""
    wall, processor = time.perf_counter(), time.process_time()
    result = function(*args, **kwargs)
    SECONDS[name] = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - processor}
    return result


def main(request_path: str, answer_path: str) -> None:
    """Fit once, forecast from each origin, write the forecasts and the seconds."""
    with open(request_path, encoding="utf-8") as file:
        request = json.load(file)
    torch.set_num_threads(request["threads"])
    frame = pd.read_csv(request["series"], parse_dates=["ds"]).assign(unique_id="series")
    held_out = len(frame) - request["first"]
    model = TimedLSTM(
        h=request["horizon"],
        alias="lstm",
        enable_progress_bar=False,
        enable_model_summary=False,
        logger=False,
        enable_checkpointing=False,
        **request["options"],
    )
    found = NeuralForecast(models=[model], freq=request["frequency"]).cross_validation(
        frame, n_windows=None, test_size=held_out, step_size=1, refit=False, val_size=0
    )
    forecasts = found.sort_values(["cutoff", "ds"])["lstm"].to_numpy().reshape(-1, request["horizon"])
    answer = {
        "forecasts": forecasts.tolist(),
        "seconds": SECONDS,
        "weights": sum(weight.numel() for weight in model.parameters()),
        "input_size": model.input_size,
        "max_steps": request["options"].get("max_steps", 1000),
        "versions": {name: version(name) for name in ("neuralforecast", "pytorch-lightning", "torch")},
    }
    with open(answer_path, "w", encoding="utf-8") as file:
        json.dump(answer, file)


if __name__ == "__main__":
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    main(*sys.argv[1:])
