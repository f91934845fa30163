"""Find or create the MLflow run of a plan, a comparison or a prediction."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tasks.results.comparison import Comparison
from tasks.results.prediction import PredictPlanResult
from tasks.results.search import SearchPlanResult
from tasks.results.training import PlanResult
from tasks.settings import MachineSettings, load
from tasks.store.runs import Run
from tasks.store.searches import SearchPlan
from tasks.store.uri import without_scheme
from tasks.tracking.runs import Tracker


@contextmanager
def tracked_run(tracker: Tracker, plan: PlanResult) -> Iterator[str]:
    """Yield the id of the plan's run.

    It shows as running inside the block, and as failed if the block fails.
    """
    machine = load(MachineSettings)
    tags = {
        "retake.dataset_digest": plan.dataset_digest,
        "retake.dataset_uri": plan.dataset_uri,
        "retake.run_uri": plan.run_uri,
        "retake.weights": plan.weights.description,
        "retake.weights_sha256": plan.weights.sha256,
        "mlflow.source.git.commit": machine.code_version,
        "retake.airflow_run": machine.airflow_url or "started by hand",
    }
    run_id = tracker.ensure_run(_experiment(Run(plan.run_uri).store_uri), plan.run_key, tags)
    with tracker.running(run_id):
        yield run_id


@contextmanager
def comparison_run(tracker: Tracker, store_uri: str, key: str, comparison: Comparison, trained: Sequence[str]) -> Iterator[str]:
    """Yield the id of the comparison's run, likewise.

    Tags link to it from the run of each network in `trained`.
    """
    machine = load(MachineSettings)
    tags = {
        "retake.dataset_digest": comparison.dataset_digest,
        "retake.dataset_uri": comparison.dataset_uri,
        "retake.compares": ", ".join(network.run_key for network in comparison.networks),
        "mlflow.source.git.commit": machine.code_version,
        "retake.airflow_run": machine.airflow_url or "started by hand",
    }
    run_id = tracker.ensure_run(_experiment(store_uri), f"comparison-{key}", tags)
    with tracker.running(run_id):
        for network in trained:
            tracker.set_tags(network, {f"retake.comparison.{key}": tracker.run_url(run_id)})
        yield run_id


@contextmanager
def prediction_run(tracker: Tracker, plan: PredictPlanResult) -> Iterator[str]:
    """Yield the id of the prediction's run, in the store's experiment for predictions.

    Finished when the block ends.
    """
    machine = load(MachineSettings)
    tags = {
        "retake.prediction_uri": plan.prediction_uri,
        "retake.model": plan.model.label,
        "retake.model_sha256": plan.model.checkpoint_sha256,
        "retake.against": plan.against.label if plan.against else "none",
        "mlflow.source.git.commit": machine.code_version,
        "retake.airflow_run": machine.airflow_url or "started by hand",
    }
    run_id = tracker.ensure_run(f"{_experiment(plan.store)} predictions", plan.key, tags)
    with tracker.running(run_id):
        yield run_id
        tracker.finish(run_id)


@contextmanager
def search_run(tracker: Tracker, plan: SearchPlanResult) -> Iterator[str]:
    """Yield the id of the search's run, in the store's experiment for searches.

    Its trials are child runs.
    """
    machine = load(MachineSettings)
    tags = {
        "retake.dataset_digest": plan.dataset_digest,
        "retake.dataset_uri": plan.dataset_uri,
        "retake.search_uri": plan.search_uri,
        "mlflow.source.git.commit": machine.code_version,
        "retake.airflow_run": machine.airflow_url or "started by hand",
    }
    run_id = tracker.ensure_run(f"{_experiment(SearchPlan(plan.search_uri).store_uri)} searches", f"search-{plan.key}", tags)
    with tracker.running(run_id):
        yield run_id


def _experiment(store_uri: str) -> str:
    """Name the MLflow experiment of a store."""
    return without_scheme(store_uri)
