"""Log parameters, metrics, datasets and artifacts to MLflow runs; translate MLflow's errors."""

import os
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import mlflow
import pandas as pd
import requests
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import DatasetInput, InputTag, ViewType
from mlflow.exceptions import MlflowException, RestException
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID, MLFLOW_RUN_NOTE

from tasks.errors import BadConfiguration, Terminated, Unavailable
from tasks.settings import MlflowSettings
from tasks.store.records.record import SplitName
from tasks.store.records.training import Epoch

NUM_PINGS = 3
RUN_KEY_TAG = "retake.run_key"
AIRFLOW_RUN_TAG = "retake.airflow_run"


def connect(settings: MlflowSettings) -> mlflow.MlflowClient:
    """Check that the server answers, and create a client.

    Raises:
        Unavailable: the server does not answer.
        BadConfiguration: the server refuses this host name.
    """
    _ping(settings.uri)
    mlflow.set_tracking_uri(settings.uri)
    mlflow.set_registry_uri(settings.uri)
    return mlflow.MlflowClient()


def _ping(address: str) -> None:
    for number in range(1, NUM_PINGS + 1):
        try:
            answer = httpx.get(f"{address.rstrip('/')}/health", timeout=10, trust_env=False)
        except httpx.TransportError as error:
            if number == NUM_PINGS:
                raise Unavailable(
                    f"MLflow at {address} does not answer ({type(error).__name__}); start it (`make run` does) or check RETAKE_MLFLOW_URI"
                ) from error
            time.sleep(number)
            continue
        if answer.status_code == 403:
            raise BadConfiguration(f"MLflow at {address} refuses this host name; add it to the server's --allowed-hosts")
        if answer.is_success:
            return
    raise Unavailable(f"MLflow at {address} is not healthy")


@contextmanager
def answering() -> Iterator[None]:
    """Translate MLflow's errors: `Unavailable` if a retry may help, `BadConfiguration` if access is refused."""
    try:
        yield
    except MlflowException as error:
        if error.error_code in ("PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"):
            raise BadConfiguration(
                f"MLflow denies access: {_first_line(error)}; check MLFLOW_TRACKING_USERNAME, its permissions, and MLFLOW_TRACKING_PASSWORD"
            ) from None
        if isinstance(error, RestException) and error.error_code not in ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE"):
            raise
        raise _unavailable(error) from error
    except requests.RequestException as error:  # artifact uploads raise it unwrapped
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"MLflow does not answer: {_first_line(error)}; check RETAKE_MLFLOW_URI")


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]


def collect_garbage(settings: MlflowSettings, days: int) -> None:
    """Remove from MLflow's database, if known, items that people deleted over `days` days ago.

    Raises:
        Unavailable: MLflow's own tool fails.
    """
    if settings.database is None:
        return
    # The address may have a password, which a command line shows to every user of the machine.
    program = "from mlflow.cli import cli; cli(auto_envvar_prefix='MLFLOW')"
    command = [sys.executable, "-c", program, "gc", f"--older-than={days}d", f"--tracking-uri={settings.uri}"]
    environment = os.environ | {"MLFLOW_GC_BACKEND_STORE_URI": settings.database.get_secret_value()}
    ended = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)  # noqa: S603 - the program is MLflow
    if ended.returncode:
        # The rest of the message may have the address.
        errors = re.findall(r"^[\w.]+(?:Error|Exception)\b", ended.stderr, re.MULTILINE)
        reason = errors[-1] if errors else f"exit code {ended.returncode}"
        raise Unavailable(f"mlflow gc failed ({reason}); check RETAKE_MLFLOW_DATABASE")


MAX_CHILDREN = 5000
"""More than the trials of the largest search."""
EPOCHS_AT_ONCE = 100
"""MLflow takes at most 1000 metrics in one call. An epoch has up to nine."""
CONTEXTS: dict[SplitName, str] = {"train": "training", "val": "validation", "test": "testing"}


@dataclass(frozen=True)
class ChildRun:
    """One finished part of a larger run."""

    params: Mapping[str, object]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    failed: bool


class Tracker:
    """Log a step's results; every method raises `Unavailable` when the server does not answer."""

    def __init__(self, settings: MlflowSettings) -> None:
        self._settings = settings
        self._client = connect(settings)

    def ensure_run(self, experiment: str, run_key: str, tags: Mapping[str, str], name: str | None = None) -> str:
        """Find the run with this key, or create it under `name`, and return its id.

        Raises:
            BadConfiguration: its experiment was deleted.
        """
        with answering():
            experiment_id = self._ensure_experiment(experiment)
            runs = self._client.search_runs([experiment_id], filter_string=f"tags.`{RUN_KEY_TAG}` = '{run_key}'", max_results=1)
            if runs:
                run_id: str = runs[0].info.run_id
                self.set_tags(run_id, tags)
            else:
                run = self._client.create_run(experiment_id, tags={**tags, RUN_KEY_TAG: run_key}, run_name=name or run_key)
                run_id = run.info.run_id
        return run_id

    def _ensure_experiment(self, name: str) -> str:
        known = self._client.get_experiment_by_name(name)
        if known is None:
            try:
                created: str = self._client.create_experiment(name)
            except MlflowException as error:  # another step was first
                if error.error_code != "RESOURCE_ALREADY_EXISTS":
                    raise
                return self._ensure_experiment(name)
            return created
        if known.lifecycle_stage == "deleted":
            raise BadConfiguration(
                f"MLflow's experiment {name} was deleted; restore it: mlflow experiments restore --experiment-id {known.experiment_id}"
            )
        return known.experiment_id

    @contextmanager
    def running(self, run_id: str) -> Iterator[None]:
        """Mark the run as running inside the block, as killed or failed after an error."""
        self._set_status(run_id, "RUNNING")
        try:
            yield
        except BaseException as error:
            is_killed = isinstance(error, (SystemExit, KeyboardInterrupt, Terminated))
            # Raise the block's own error, even if the server cannot record the failure.
            with suppress(Unavailable):
                self._set_status(run_id, "KILLED" if is_killed else "FAILED")
            raise

    def rename(self, run_id: str, name: str) -> None:
        """Call the run by another name."""
        with answering():
            self._client.update_run(run_id, name=name)

    def finish(self, run_id: str) -> None:
        """Mark the run as finished."""
        self._set_status(run_id, "FINISHED")

    def end_left(self, status_of: Callable[[str, str], str | None]) -> None:
        """End runs that show as running although their process was killed.

        `status_of` says how, from a run's id and the Airflow run that wrote to it last; None leaves it.
        """
        with answering():
            experiments = [experiment.experiment_id for experiment in self._client.search_experiments()]
            at_work = self._client.search_runs(experiments, filter_string="attributes.status = 'RUNNING'", max_results=MAX_CHILDREN)
        for run in at_work:
            if status := status_of(run.info.run_id, run.data.tags.get(AIRFLOW_RUN_TAG, "")):
                self._set_status(run.info.run_id, status)

    def run_url(self, run_id: str) -> str:
        """Return the address of the run's page for browsers."""
        with answering():
            experiment_id = self._client.get_run(run_id).info.experiment_id
        return f"{self.public_uri}/#/experiments/{experiment_id}/runs/{run_id}"

    @property
    def public_uri(self) -> str:
        """Return the server's address for browsers."""
        return (self._settings.public_uri or self._settings.uri).rstrip("/")

    def log_params(self, run_id: str, params: Mapping[str, object]) -> None:
        """Log parameters; logging equal ones again is allowed."""
        with answering():
            self._client.log_batch(run_id, params=[mlflow.entities.Param(key, str(value)) for key, value in params.items()])

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Log metrics without a step; skip values that an earlier try has logged."""
        now_ms = int(time.time() * 1000)
        with answering():
            logged = self._client.get_run(run_id).data.metrics
            new = {name: value for name, value in metrics.items() if logged.get(name) != value}
            self._client.log_batch(run_id, metrics=[mlflow.entities.Metric(k, v, now_ms, 0) for k, v in new.items()])

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run; its page shows `mlflow.note.content` as the description."""
        with answering():
            for key, value in tags.items():
                self._client.set_tag(run_id, key, value)

    def log_artifacts(self, run_id: str, folder: Path, artifact_path: str | None = None) -> None:
        """Upload a folder's files as artifacts."""
        with answering():
            self._client.log_artifacts(run_id, str(folder), artifact_path)

    def log_dataset(self, run_id: str, rows: Sequence[Mapping[str, object]], *, split: SplitName, source: str, digest: str) -> None:
        """Log the clips of one split, the table at `source`, as a run's input."""
        with answering(), warnings.catch_warnings():
            # Class ids are never missing, so MLflow's advice to use floats does not apply.
            warnings.filterwarnings("ignore", message="Hint: Inferred schema contains integer column")
            dataset = from_pandas(pd.DataFrame(rows), source=source, name=split, digest=digest)
            entity = DatasetInput(dataset._to_mlflow_entity(), [InputTag("mlflow.data.context", CONTEXTS[split])])
            self._client.log_inputs(run_id, datasets=[entity])

    def log_epochs(self, run_id: str, epochs: Sequence[Epoch]) -> None:
        """Log losses and accuracies by epoch; skip epochs that an earlier try has logged."""
        now_ms = int(time.time() * 1000)
        with answering():
            logged = {metric.step for metric in self._client.get_metric_history(run_id, "train_loss")} if epochs else set()
            new = [epoch for epoch in epochs if epoch.epoch not in logged]
            for start in range(0, len(new), EPOCHS_AT_ONCE):
                values = [
                    (epoch.epoch, epoch.model_dump(exclude={"epoch"}, exclude_none=True)) for epoch in new[start : start + EPOCHS_AT_ONCE]
                ]
                metrics = [mlflow.entities.Metric(name, value, now_ms, step) for step, named in values for name, value in named.items()]
                self._client.log_batch(run_id, metrics=metrics)

    def log_children(self, run_id: str, children: Mapping[str, ChildRun]) -> None:
        """Log runs below this one by their names; skip those that an earlier try finished.

        A run of the same name with other parameters, which nothing refers to any more, is deleted.
        """
        now_ms = int(time.time() * 1000)
        with answering():
            experiment_id = self._client.get_run(run_id).info.experiment_id
            earlier = self._client.search_runs(
                [experiment_id], filter_string=f"tags.`{MLFLOW_PARENT_RUN_ID}` = '{run_id}'", max_results=MAX_CHILDREN
            )
            known = {run.info.run_name: run for run in earlier}
            for name, child in children.items():
                run = known.get(name)
                if run and any(run.data.params.get(key, str(value)) != str(value) for key, value in child.params.items()):
                    self._client.delete_run(run.info.run_id)  # parameters cannot be changed
                    run = None
                run = run or self._client.create_run(experiment_id, tags={**child.tags, MLFLOW_PARENT_RUN_ID: run_id}, run_name=name)
                if run.info.status == "FINISHED":
                    continue
                # A trial that failed may have been trained since.
                self.set_tags(run.info.run_id, child.tags)
                for key in run.data.tags.keys() - child.tags.keys():
                    if key.startswith("retake."):
                        self._client.delete_tag(run.info.run_id, key)
                self._client.log_batch(
                    run.info.run_id,
                    metrics=[mlflow.entities.Metric(key, value, now_ms, 0) for key, value in child.metrics.items()],
                    params=[mlflow.entities.Param(key, str(value)) for key, value in child.params.items()],
                )
                self._client.set_terminated(run.info.run_id, "FAILED" if child.failed else "FINISHED")

    def remove_evidence(
        self,
        experiments: Collection[str],
        is_gone: Callable[[Mapping[str, str]], bool],
        names_video: Callable[[str], bool],
        *,
        dry_run: bool,
    ) -> int:
        """Delete the artifacts of runs, but no logged models, and count these runs.

        Args:
            experiments: names of those whose runs are looked at.
            is_gone: says from a run's tags whether its artifacts go; then its description says so.
            names_video: says whether the text of a tag is to be deleted, of any of the runs.
        """
        note = "The evidence of this run was removed, because a video was forgotten that it may show."
        num_runs = 0
        for run in self._all_runs(experiments):
            run_id, tags = run.info.run_id, dict(run.data.tags)
            num_runs += is_gone(tags)
            if dry_run:
                continue
            with answering():
                for key in [key for key, text in tags.items() if names_video(text)]:
                    self._client.delete_tag(run_id, key)
                if not is_gone(tags):
                    continue
                artifacts = get_artifact_repository(run.info.artifact_uri)
                for listed in artifacts.list_artifacts():
                    artifacts.delete_artifacts(listed.path)  # type: ignore[no-untyped-call]
                self._client.set_tag(run_id, MLFLOW_RUN_NOTE, note)
        return num_runs

    def _all_runs(self, experiments: Collection[str]) -> Iterator[mlflow.entities.Run]:
        """Yield the runs of these experiments, also deleted ones, which still have artifacts."""
        with answering():
            known = [experiment.experiment_id for name in experiments if (experiment := self._client.get_experiment_by_name(name))]
            token: str | None = None
            while known:
                page = self._client.search_runs(known, "", ViewType.ALL, MAX_CHILDREN, page_token=token)
                yield from page
                token = page.token
                if not token:
                    return

    def _set_status(self, run_id: str, status: str) -> None:
        with answering():
            if status == "RUNNING":
                self._client.update_run(run_id, status=status)
            else:
                self._client.set_terminated(run_id, status)
