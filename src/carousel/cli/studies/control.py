"""Controllers: an environment to learn in, and episodes in it that training did not play."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from carousel.cli.studies.base import Study
from carousel.data import DataError, read_table
from carousel.report import ControlFindings, Labels, Line, Results, Score, look_inside, summarise
from carousel.tasks import Controller, SequenceEstimator
from carousel.tasks.control.baselines import baseline_returns
from carousel.tasks.control.evaluation import Returns, Trail
from carousel.training import Report

NAME, METRIC = "LSTM", "return"


@dataclass(frozen=True)
class ControlColumns:
    """Which environment is learned in, and how long it is measured in."""

    path: str | None = field(
        default=None, metadata={"help": "the environment: an id that gymnasium knows, such as CartPole-v1"}
    )
    episodes: int = field(default=100, metadata={"help": "episodes to measure on"})


class ControlStudy(Study):
    """An environment; the episodes to measure on begin from seeds that training does not use."""

    columns: ClassVar[type] = ControlColumns
    needs_data: ClassVar[bool] = False

    def __init__(self, estimator: SequenceEstimator, columns: ControlColumns, seed: int) -> None:
        assert isinstance(estimator, Controller)
        if columns.episodes < 1:
            raise DataError(f"episodes is {columns.episodes}; at least one is measured")
        self.estimator, self.settings = estimator, columns

    def fit_reports(self, checkpoint: Path) -> Iterator[Report]:
        return self.estimator.fit_reports(self.settings.path, checkpoint=checkpoint)

    def results(self) -> Results:
        found = self.estimator.evaluate(episodes=self.settings.episodes)
        others = baseline_returns(self.estimator, episodes=self.settings.episodes)
        where = f"{len(found.values)} episodes of {self.settings.path} that training did not play"
        return _results({NAME: found, **others}, where)

    def findings(self) -> dict[str, Any]:
        trail = self.estimator.episode()
        names = [f"observation {at}" for at in trail.positions]
        actions = [f"action {at}" for at in range(trail.actions.shape[1])] if trail.actions.shape[1] > 1 else ["action"]
        lines = [Line(name, column) for name, column in zip(names, trail.observations.T, strict=True)]
        lines += [Line(name, column, "model") for name, column in zip(actions, trail.actions.T, strict=True)]
        episode = (*lines, Line("reward", trail.rewards, "truth"))
        notes = ("What the policy sees; it learns from what it lives through, not from a file.",)
        data = summarise([trail.observations], names, source=self.settings.path, notes=notes, example=())
        return {
            "data": data,
            "control": ControlFindings(episode, float(trail.rewards.sum())),
            "memory": self._memory(trail),
        }

    def _memory(self, trail: Trail) -> Any:
        network = self.estimator.network_
        if not self.estimator.memory:
            return None
        x = network.features(trail.observations.astype(np.float32)).transpose(0, 1)
        labels = Labels("an episode after training", [f"observation {at}" for at in trail.positions])
        return look_inside(network, lambda: network.actor(x, None, None), labels)

    @classmethod
    def predictions(cls, estimator: Any, columns: Any, path: Path) -> dict[str, Any]:
        """The actions on a table of observations, the steps of one episode in a row each."""
        table = read_table(path)
        observations, state, actions = table.numbers(table.names), None, []
        for observation in observations:
            found, state = estimator.predict(observation[None], state)
            actions.append(np.ravel(found[0]))
        together = np.stack(actions)
        names = ["action"] if together.shape[1] == 1 else [f"action {at}" for at in range(together.shape[1])]
        steps = {"step": np.arange(len(together))}
        return {**steps, **{name: together[:, at] for at, name in enumerate(names)}}

    @classmethod
    def evaluation(cls, estimator: Any, columns: Any, path: Path | None) -> Results:
        found = estimator.evaluate(None if path is None else str(path), episodes=columns.episodes)
        return _results({NAME: found}, f"{columns.episodes} episodes of {path or columns.path}")


def _results(found: dict[str, Returns], where: str) -> Results:
    scores = [Score(name, _values(returns), is_model=name == NAME) for name, returns in found.items()]
    return Results(tuple(scores), METRIC, False, where)


def _values(returns: Returns) -> dict[str, float | None]:
    low, high = returns.interval()
    return {METRIC: returns.mean, "95% low": low, "95% high": high, "deviation": returns.deviation}
