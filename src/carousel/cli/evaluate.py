"""`carousel evaluate`: the scores of a trained model on data whose answers are known."""

from carousel.cli.errors import UsageError
from carousel.cli.options import DataOrNone, Debug, Json, Run


def evaluate(run: Run, data: DataOrNone = None, *, json: Json = False, debug: Debug = False) -> None:
    """Score the model of a run on data whose answers are known."""
    from carousel.cli.console import write_json
    from carousel.cli.outcome import scores, show_results
    from carousel.cli.recipe import read_recipe
    from carousel.cli.studies import study_of
    from carousel.tasks import load

    estimator = load(run)
    study = study_of(type(estimator))
    if data is None and study.needs_data:
        raise UsageError("there is no data: name a file or folder behind the run")
    results = study.evaluation(estimator, read_recipe(run).data, data)
    if json:
        write_json(
            {
                "run": str(run),
                "data": None if data is None else str(data),
                "metric": results.metric,
                "scores": scores(results),
            }
        )
    else:
        show_results(results)
