"""Access MLflow's runs and its model registry; this package alone imports `mlflow`.

`runs` has runs and artifacts, `registry` versions and aliases, `flavours` the models that are uploaded.

Other rooms import the names of this file.
"""

import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import NamedTuple

# MLflow's default of seven retries takes minutes, and the runner retries whole steps. Set before mlflow is imported, which reads them.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from tasks.options import Family, Head, Modality
from tasks.settings import MachineSettings, load
from tasks.store.records.comparison import Comparison
from tasks.store.records.prediction import PredictPlanResult
from tasks.store.records.search import SearchPlanResult
from tasks.store.records.training import PlanResult
from tasks.store.run_layout import Run, SearchPlan
from tasks.store.stored import without_scheme
from tasks.tracking.flavours import TensorModel, VideoModel
from tasks.tracking.registry import (
    CHALLENGER,
    CHAMPION,
    FORGOTTEN_TAG,
    PROVISIONAL_TAG,
    Reference,
    RegisteredVersion,
    Registry,
    VersionCard,
)
from tasks.tracking.runs import AIRFLOW_RUN_TAG, ChildRun, Tracker, collect_garbage
from tasks.wording import count

__all__ = [
    "CHALLENGER", "CHAMPION", "FORGOTTEN_TAG", "PROVISIONAL_TAG", "ChildRun", "Reference", "RegisteredVersion", "Registry", "TensorModel",
    "Tracker", "VersionCard", "VideoModel", "collect_garbage", "comparison_run", "end_all", "end_left_behind", "end_trainings",
    "prediction_run", "remove_evidence", "run_title", "search_run", "tracked_run",
]  # fmt: skip


def tracked_run(tracker: Tracker, plan: PlanResult, *, is_beside: bool = False) -> AbstractContextManager[str]:
    """Yield the id of the plan's run, which shows as running inside the block.

    It shows as killed or failed if the block is ended or fails. A step beside those that decide, for which nothing waits, leaves the status
    as it is.
    """
    tags = {
        "retake.dataset_digest": plan.dataset_digest,
        "retake.dataset_uri": plan.dataset_uri,
        "retake.run_uri": plan.run_uri,
        "retake.weights": plan.weights.description,
        "retake.weights_sha256": plan.weights.sha256,
    }
    return _at_work(tracker, _experiments(Run(plan.run_uri).store_uri).trainings, plan.run_key, tags, run_title(plan), is_beside=is_beside)


def run_title(plan: PlanResult, version: int | None = None) -> str:
    """Name a training for people, such as `v3 · probe lite0 · 55 clips`."""
    train, members = plan.train, plan.weights.members
    kind = [train.family] if train.head is Head.LINEAR else [train.family, train.head] if train.family is not Family.TSN else [train.head]
    modality = [train.modality] if train.modality is not Modality.RGB else []
    network = f"fusion of {count(len(members), 'network')}" if members else " ".join([*kind, _short(train.backbone), *modality])
    clips = count(plan.num_train_clips, "clip") if plan.num_train_clips else None
    student = f"student of {plan.teacher.name}" if plan.teacher else None
    unlabelled = f"{plan.teacher.num_unlabelled:,} unlabelled" if plan.teacher and plan.teacher.num_unlabelled else None
    seed = f"seed {train.seed}" if train.seed else None
    return " · ".join(filter(None, (f"v{version}" if version else None, network, student, clips, unlabelled, seed)))


def _short(backbone: str) -> str:
    """Shorten the name of a backbone, to begin at its last word with a number."""
    parts = backbone.partition(".")[0].removeprefix("tf_").split("_")
    begins = [i for i, part in enumerate(parts) if re.fullmatch(r"(?!patch|window)[a-z]{4,}\d+", part)]
    return "_".join(parts[begins[-1] :] if begins else parts)


@contextmanager
def comparison_run(tracker: Tracker, store_uri: str, key: str, comparison: Comparison, trained: Sequence[str]) -> Iterator[str]:
    """Yield the id of the comparison's run, and tag the runs in `trained` with it."""
    tags = {
        "retake.dataset_digest": comparison.dataset_digest,
        "retake.dataset_uri": comparison.dataset_uri,
        "retake.compares": ", ".join(network.run_key for network in comparison.networks),
    }
    name = f"{count(len(comparison.networks), 'network')} · {count(comparison.num_clips, f'{comparison.split} clip')}"
    with _at_work(tracker, _experiments(store_uri).trainings, f"comparison-{key}", tags, name) as run_id:
        for network in trained:
            tracker.set_tags(network, {f"retake.comparison.{key}": tracker.run_url(run_id)})
        yield run_id


@contextmanager
def prediction_run(tracker: Tracker, plan: PredictPlanResult, num_videos: int) -> Iterator[str]:
    """Yield the id of a prediction's run, and finish the run at the end."""
    tags = {
        "retake.prediction_uri": plan.prediction_uri,
        "retake.model": plan.model.label,
        "retake.model_sha256": plan.model.checkpoint_sha256,
        "retake.against": plan.against.label if plan.against else "none",
    }
    name = f"{plan.model.label} · {count(num_videos, 'video')}"
    with _at_work(tracker, _experiments(plan.store).predictions, plan.key, tags, name) as run_id:
        yield run_id
        tracker.finish(run_id)


def search_run(tracker: Tracker, plan: SearchPlanResult) -> AbstractContextManager[str]:
    """Yield the id of the search's run."""
    tags = {"retake.dataset_digest": plan.dataset_digest, "retake.dataset_uri": plan.dataset_uri, "retake.search_uri": plan.search_uri}
    name = f"{count(plan.search.num_trials, 'trial')} · {_short(plan.train.backbone)}"
    experiment = _experiments(SearchPlan(plan.search_uri).store_uri).searches
    return _at_work(tracker, experiment, f"search-{plan.key}", tags, name)


def remove_evidence(
    tracker: Tracker,
    store_uri: str,
    datasets: Collection[str],
    predictions: Collection[str],
    names_video: Callable[[str], bool],
    *,
    dry_run: bool,
) -> int:
    """Delete artifacts of the store's runs on these datasets and predictions; count the runs."""
    return tracker.remove_evidence(
        _experiments(store_uri),
        lambda tags: tags.get("retake.dataset_digest") in datasets or tags.get("retake.prediction_uri") in predictions,
        names_video,
        dry_run=dry_run,
    )


def end_trainings(tracker: Tracker, trained: Collection[str]) -> None:
    """End this Airflow run's trainings: those in `trained` have finished, others failed."""
    if own := load(MachineSettings).airflow_url:
        tracker.end_left(lambda run_id, by: None if by != own else "FINISHED" if run_id in trained else "FAILED")


def end_left_behind(tracker: Tracker) -> None:
    """End as killed the runs that earlier Airflow runs of this DAG left at work."""
    if own := load(MachineSettings).airflow_url:
        of_dag = own.rpartition("/")[0] + "/"
        tracker.end_left(lambda _, by: "KILLED" if by.startswith(of_dag) and by != own else None)


def end_all(tracker: Tracker, airflow: str) -> None:
    """End as killed all runs that an idle Airflow has left."""
    tracker.end_left(lambda _, by: "KILLED" if by.startswith(f"{airflow}/dags/") else None)


class _Experiments(NamedTuple):
    """The names of a store's experiments; comparisons lie beside the trainings."""

    trainings: str
    predictions: str
    searches: str


def _experiments(store_uri: str) -> _Experiments:
    own = without_scheme(store_uri)
    return _Experiments(own, f"{own} predictions", f"{own} searches")


@contextmanager
def _at_work(tracker: Tracker, experiment: str, key: str, tags: Mapping[str, str], name: str, *, is_beside: bool = False) -> Iterator[str]:
    """Find or create a run, and show it as running inside the block.

    For a step that `is_beside` others, the run is not shown as running, and stays with the Airflow run that wrote to it.
    """
    machine = load(MachineSettings)
    by = {"mlflow.source.git.commit": machine.code_version, AIRFLOW_RUN_TAG: machine.airflow_url or "started by hand"}
    end_left_behind(tracker)
    run_id = tracker.ensure_run(experiment, key, {**tags, **({} if is_beside else by)}, name)
    with nullcontext() if is_beside else tracker.running(run_id):
        yield run_id
