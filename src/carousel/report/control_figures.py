"""The figures of a policy: how its return grew, and one of its episodes."""

from carousel.report.figures import rows
from carousel.report.findings import ControlFindings, Learning
from carousel.report.plotting import Drawing, Key, axis, curve, epochs, figure, upright
from carousel.report.records import Number
from carousel.report.wording import counted, number


def return_curves(learning: Learning) -> Drawing | None:
    """Mean return by epoch, in training and in validation; losses of a policy are minus returns."""
    if not learning.epochs:
        return None
    x = [row.epoch for row in learning.epochs]
    trained, held = ([_negated(value) for value in column] for column in _columns(learning))
    data, keys = [curve(x, trained, "while learning", "@baseline")], [Key("while learning", "@baseline")]
    if any(value is not None for value in held):
        data.append(curve(x, held, "in validation", "@model"))
        keys.append(Key("in validation, without trying things out", "@model"))
    shapes = []
    if learning.best_epoch is not None:
        shapes = [upright(learning.best_epoch, "@muted")]
        keys.append(Key("weights kept", "@axis", "dots"))
    words = f"The mean return went from {number(trained[0])} to {number(trained[-1])} in {counted(len(x), 'epoch')}."
    drawn = figure(data, 280, xaxis=epochs(len(x)), yaxis=axis("mean return"), shapes=shapes)
    return Drawing("learning-curves", "Return by epoch", words, drawn, tuple(keys))


def episode(found: ControlFindings) -> Drawing:
    """One episode: a row for each observation, action and the reward."""
    steps = counted(len(found.episode[0].values), "step")
    return Drawing("episode-steps", "An episode", f"{steps}, return {number(found.total)}.", rows(found.episode))


def _columns(learning: Learning) -> tuple[list[Number], list[Number]]:
    return [row.loss for row in learning.epochs], [row.validation for row in learning.epochs]


def _negated(value: Number) -> Number:
    return None if value is None else -value
