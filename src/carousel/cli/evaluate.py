"""`carousel evaluate`: the scores of a trained model on data whose answers are known."""

from carousel.cli.options import Data, Debug, Json, Run


def evaluate(run: Run, data: Data, *, json: Json = False, debug: Debug = False) -> None:
    """Score the model of a run on data whose answers are known."""
    from carousel.cli.console import write_json
    from carousel.cli.outcome import scores, show_results
    from carousel.cli.recipe import read_recipe
    from carousel.cli.studies import study_of
    from carousel.tasks import load

    estimator = load(run)
    results = study_of(type(estimator)).evaluation(estimator, read_recipe(run).data, data)
    if json:
        write_json({"run": str(run), "data": str(data), "metric": results.metric, "scores": scores(results)})
    else:
        show_results(results)
