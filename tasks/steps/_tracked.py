"""The MLflow run of a plan, found again by every step that reports to it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tasks.results.comparison import Comparison
from tasks.results.training import PlanResult
from tasks.settings import MachineSettings, load
from tasks.storage import split_uri
from tasks.tracking import Tracker


@contextmanager
def tracked_run(tracker: Tracker, plan: PlanResult) -> Iterator[str]:
    """The id of the plan's one run, shown as running inside the block and as failed if the block fails."""
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
    run_id = tracker.ensure_run(_experiment(plan.run_uri.rpartition("/runs/")[0]), plan.run_key, tags)
    with tracker.running(run_id):
        yield run_id


@contextmanager
def comparison_run(tracker: Tracker, store_uri: str, key: str, comparison: Comparison, trained: Sequence[str]) -> Iterator[str]:
    """The id of the one run of a comparison, likewise; tags link the run of each network that was `trained` to it."""
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


def _experiment(store_uri: str) -> str:
    """The name of a store's experiment in MLflow."""
    bucket, prefix = split_uri(store_uri)
    return f"{bucket}/{prefix}".rstrip("/")
