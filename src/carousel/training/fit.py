"""The training loop: a generator of reports."""

from collections.abc import Generator

from carousel.data import Batches
from carousel.training.method import DivergenceError, Method, Model
from carousel.training.plan import Plan, Report
from carousel.training.run import Run


def fit(
    model: Model, batches: Batches, method: Method, plan: Plan, *, validation: Batches | None = None
) -> Generator[Report, None, None]:
    """Train a model: a report after each update, the last one with the reason why training ended.

    The caller may stop iterating at any time, or be interrupted: what was learned stays in the model, and with
    validation data and `plan.keep_best` the model ends with its best epoch's weights. Where `plan.checkpoint` exists,
    the run goes on from there and ends with the same bits as if it had never stopped. Training draws from its own
    random numbers, seeded by `plan.seed`; the caller's are left alone.

    Raises ValueError for data or a plan that cannot work, CheckpointError for a checkpoint of another run,
    DivergenceError when a loss or gradient is no longer finite, OSError when a checkpoint cannot be written.
    """
    if len(batches) == 0 or (validation is not None and len(validation) == 0):
        raise ValueError(f"there is no {'training' if len(batches) == 0 else 'validation'} batch; give at least one")
    if plan.patience is not None and validation is None:
        raise ValueError(f"patience={plan.patience} needs validation data; pass some, or patience=None")
    if plan.checkpoint is not None and not plan.checkpoint.parent.is_dir():
        raise FileNotFoundError(f"the folder of checkpoint {plan.checkpoint} does not exist; create it first")
    return _reports(Run(model, batches, method, plan, validation))


def _reports(run: Run) -> Generator[Report, None, None]:
    try:
        if run.progress.stopped is not None:
            yield run.report()
        while run.progress.stopped is None:
            report = run.advance()
            yield report
    except GeneratorExit:
        run.save()
        raise
    except DivergenceError as error:
        raise DivergenceError(f"{run.where()}: {error}. {run.kept()}") from None
    finally:
        run.close()
