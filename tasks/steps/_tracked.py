"""The MLflow run of a plan, found again by every step that reports to it."""

from collections.abc import Iterator
from contextlib import contextmanager

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
    bucket, prefix = split_uri(plan.run_uri.split("/runs/")[0])
    experiment = f"{bucket}/{prefix}".rstrip("/")
    run_id = tracker.ensure_run(experiment, plan.run_key, tags)
    with tracker.running(run_id):
        yield run_id
