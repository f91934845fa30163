"""MLflow: one run a training, found again by its run key, and the registered model. The only importer of `mlflow`."""

import io
import os
import time
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tasks.errors import BadConfiguration, Unavailable
from tasks.results.record import SplitName
from tasks.results.training import Epoch
from tasks.settings import MlflowSettings

# MLflow's own seven retries take minutes; the runner retries whole steps. Read when mlflow is imported.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import mlflow
import numpy as np
import pandas as pd
import requests
from mlflow.data.pandas_dataset import from_pandas
from mlflow.entities import DatasetInput, InputTag, LoggedModelStatus, RunStatus
from mlflow.exceptions import MlflowException, RestException
from mlflow.models.signature import ModelSignature
from mlflow.types import Schema, TensorSpec

if TYPE_CHECKING:
    from typing import Self

    from mlflow.entities import LoggedModel
    from mlflow.entities.model_registry import ModelVersion

RUN_KEY_TAG = "retake.run_key"
CHECKPOINT_TAG = "retake.checkpoint_uri"
CHECKPOINT_HASH_TAG = "retake.checkpoint_sha256"
CHALLENGER = "challenger"
CHAMPION = "champion"
NUM_PINGS = 3
CONTEXTS: dict[SplitName, str] = {"train": "training", "val": "validation", "test": "testing"}


@dataclass(frozen=True)
class RegisteredVersion:
    """A version of the registered model, and the checkpoint that it was made from."""

    version: int
    run_id: str
    checkpoint_uri: str
    checkpoint_sha256: str


@dataclass(frozen=True)
class VersionCard:
    """What is said of a registered version: for people, and for the re-scoring of a champion."""

    description: str
    checkpoint_uri: str
    checkpoint_sha256: str
    output_names: tuple[str, ...]
    requirements: tuple[str, ...]
    metadata: dict[str, Any]
    tags: dict[str, str]


class Tracker:
    """Everything that steps say to MLflow.

    Every method raises `Unavailable` when the server does not answer.
    """

    def __init__(self, settings: MlflowSettings) -> None:
        self._settings = settings
        _ping(settings.uri)
        mlflow.set_tracking_uri(settings.uri)
        mlflow.set_registry_uri(settings.uri)
        self._client = mlflow.MlflowClient()

    @classmethod
    def from_settings(cls, settings: MlflowSettings) -> "Self":
        """Connect, and make sure that the server answers before any work is done."""
        return cls(settings)

    def ensure_run(self, experiment: str, run_key: str, tags: Mapping[str, str]) -> str:
        """The id of the one run with this key, made where there is none; an earlier try's run goes on."""
        with _answering():
            found = self._client.get_experiment_by_name(experiment)
            experiment_id = found.experiment_id if found else self._client.create_experiment(experiment)
            runs = self._client.search_runs([experiment_id], filter_string=f"tags.`{RUN_KEY_TAG}` = '{run_key}'", max_results=1)
            if runs:
                run_id: str = runs[0].info.run_id
                for key, value in tags.items():
                    self._client.set_tag(run_id, key, value)
            else:
                run = self._client.create_run(experiment_id, tags={**tags, RUN_KEY_TAG: run_key}, run_name=run_key)
                run_id = run.info.run_id
        return run_id

    @contextmanager
    def running(self, run_id: str) -> Iterator[None]:
        """Show the run as running inside the block, and as failed when the block fails."""
        self._set_status(run_id, "RUNNING")
        try:
            yield
        except BaseException:
            # The error that ended the block says more than a server that cannot note it.
            with suppress(Unavailable):
                self._set_status(run_id, "FAILED")
            raise

    def finish(self, run_id: str) -> None:
        """Show the run as finished."""
        self._set_status(run_id, "FINISHED")

    def run_url(self, run_id: str) -> str:
        """The run's page in a person's browser."""
        with _answering():
            experiment_id = self._client.get_run(run_id).info.experiment_id
        return f"{self.public_uri}/#/experiments/{experiment_id}/runs/{run_id}"

    @property
    def public_uri(self) -> str:
        """The server's address in a person's browser."""
        return (self._settings.public_uri or self._settings.uri).rstrip("/")

    def log_params(self, run_id: str, params: Mapping[str, object]) -> None:
        """Log parameters; the same ones again are no error."""
        with _answering():
            self._client.log_batch(run_id, params=[mlflow.entities.Param(key, str(value)) for key, value in params.items()])

    def log_metrics(self, run_id: str, metrics: Mapping[str, float]) -> None:
        """Log numbers that have no step; those that an earlier try logged alike stay as they are."""
        now_ms = int(time.time() * 1000)
        with _answering():
            logged = self._client.get_run(run_id).data.metrics
            new = {name: value for name, value in metrics.items() if logged.get(name) != value}
            self._client.log_batch(run_id, metrics=[mlflow.entities.Metric(k, v, now_ms, 0) for k, v in new.items()])

    def set_tags(self, run_id: str, tags: Mapping[str, str]) -> None:
        """Set tags of a run; `mlflow.note.content` is what its page shows as the description."""
        with _answering():
            for key, value in tags.items():
                self._client.set_tag(run_id, key, value)

    def log_artifacts(self, run_id: str, folder: Path, artifact_path: str | None = None) -> None:
        """Upload a folder's files into the run."""
        with _answering():
            self._client.log_artifacts(run_id, str(folder), artifact_path)

    def log_dataset(self, run_id: str, table: bytes, *, split: SplitName, source: str, digest: str) -> None:
        """Log one split, a CSV file, as an input of the run."""
        with _answering(), warnings.catch_warnings():
            # Class ids are never missing, so MLflow's advice to make them floats does not hold.
            warnings.filterwarnings("ignore", message="Hint: Inferred schema contains integer column")
            dataset = from_pandas(pd.read_csv(io.BytesIO(table)), source=source, name=split, digest=digest)
            entity = DatasetInput(dataset._to_mlflow_entity(), [InputTag("mlflow.data.context", CONTEXTS[split])])
            self._client.log_inputs(run_id, datasets=[entity])

    def log_epoch(self, run_id: str, epoch: Epoch) -> None:
        """Log one epoch's losses and accuracies, with the epoch as the step; one that an earlier try logged stays as it is."""
        now_ms = int(time.time() * 1000)
        values = epoch.model_dump(exclude={"epoch"}, exclude_none=True)
        with _answering():
            if epoch.epoch not in {logged.step for logged in self._client.get_metric_history(run_id, "train_loss")}:
                self._client.log_batch(
                    run_id, metrics=[mlflow.entities.Metric(name, value, now_ms, epoch.epoch) for name, value in values.items()]
                )

    def champion(self, model_name: str) -> RegisteredVersion | None:
        """The version of a registered model that the alias `champion` points at, or None.

        Raises:
            BadConfiguration: it was registered by hand, without the checkpoint that it can be scored again by.
        """
        with _answering():
            # A server with passwords answers for a model that does not exist as for one that this user may not see.
            if not self._client.search_registered_models(filter_string=f"name = '{model_name}'", max_results=1):
                return None
            try:
                found = self._client.get_model_version_by_alias(model_name, CHAMPION)
            except RestException as error:
                if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                    return None
                raise
        if not {CHECKPOINT_TAG, CHECKPOINT_HASH_TAG} <= found.tags.keys():
            raise BadConfiguration(
                f"{model_name} version {found.version} is champion, but Retake did not register it and cannot score it again; "
                f"take the alias {CHAMPION} off it, or set its tags {CHECKPOINT_TAG} and {CHECKPOINT_HASH_TAG}"
            )
        return RegisteredVersion(int(found.version), found.run_id or "", found.tags[CHECKPOINT_TAG], found.tags[CHECKPOINT_HASH_TAG])

    def register(
        self,
        model_name: str,
        run_id: str,
        run_key: str,
        module: object,
        example: Any,  # noqa: ANN401 - a torch tensor; torch stays out of this file
        card: VersionCard,
    ) -> int:
        """Register the module that the run trained; the version that an earlier try registered is found again.

        Args:
            model_name: what it is registered as.
            run_id: the run that trained it.
            run_key: what the version is found by.
            module: a torch module on the CPU and in eval mode, which answers with a tuple of tensors.
            example: one input batch of two or more, a tensor, for as an array it becomes 125 MB of JSON; it becomes the input example and the signature.
            card: what is said of the version.
        """
        with _answering():
            earlier = self._version_of(model_name, run_key)
            if earlier is not None:
                return earlier
            if not self._client.search_registered_models(filter_string=f"name = '{model_name}'", max_results=1):
                self._client.create_registered_model(model_name)
            logged = self._logged_model(run_id)
            if logged is None:
                with mlflow.start_run(run_id=run_id):
                    mlflow.pytorch.log_model(
                        module,
                        name="model",
                        signature=_signature(example.shape, card.output_names),
                        input_example=example,
                        pip_requirements=list(card.requirements),
                        metadata=card.metadata,
                    )
                logged = self._logged_model(run_id)
            if logged is None:
                raise Unavailable(f"MLflow does not have the model that was logged to run {run_id}; try again")
            made = self._client.create_model_version(
                model_name,
                source=logged.model_uri,
                run_id=run_id,
                model_id=logged.model_id,
                tags={
                    **card.tags,
                    RUN_KEY_TAG: run_key,
                    CHECKPOINT_TAG: card.checkpoint_uri,
                    CHECKPOINT_HASH_TAG: card.checkpoint_sha256,
                },
                description=card.description,
            )
        return int(made.version)

    def set_alias(self, model_name: str, alias: str, version: int) -> None:
        """Point an alias of the registered model at a version."""
        with _answering():
            self._client.set_registered_model_alias(model_name, alias, str(version))

    def aliases(self, model_name: str, version: int) -> tuple[str, ...]:
        """The aliases that point at a version."""
        with _answering():
            return tuple(sorted(self._client.get_model_version(model_name, str(version)).aliases))

    def _version_of(self, model_name: str, run_key: str) -> int | None:
        found: list[ModelVersion] = self._client.search_model_versions(
            f"name = '{model_name}' and tags.`{RUN_KEY_TAG}` = '{run_key}'", max_results=1
        )
        return int(found[0].version) if found else None

    def _logged_model(self, run_id: str) -> "LoggedModel | None":
        """The model that the run has logged as a whole: by this try, or by one that was cut off before it was registered."""
        experiment_id = self._client.get_run(run_id).info.experiment_id
        found = self._client.search_logged_models([experiment_id], f"source_run_id = '{run_id}'")
        return next((model for model in found if model.status == LoggedModelStatus.READY), None)

    def _set_status(self, run_id: str, status: str) -> None:
        with _answering():
            if status == "RUNNING":
                self._client.update_run(run_id, status=status)
            else:
                self._client.set_terminated(run_id, RunStatus.to_string(RunStatus.from_string(status)))


def _signature(shape: Sequence[int], output_names: Sequence[str]) -> ModelSignature:
    """Frames (clips, segments, height, width, 3) in; one (clips, classes) tensor of logits a name out."""
    frames = TensorSpec(np.dtype(np.uint8), (-1, shape[1], -1, -1, shape[4]), "frames")
    return ModelSignature(Schema([frames]), Schema([TensorSpec(np.dtype(np.float32), (-1, -1), name) for name in output_names]))


def _ping(uri: str) -> None:
    for number in range(1, NUM_PINGS + 1):
        try:
            answer = httpx.get(f"{uri.rstrip('/')}/health", timeout=10, trust_env=False)
        except httpx.TransportError as error:
            if number == NUM_PINGS:
                raise Unavailable(
                    f"MLflow at {uri} does not answer ({type(error).__name__}); start it (`make run` does) or check RETAKE_MLFLOW_URI"
                ) from error
            time.sleep(number)
            continue
        if answer.status_code == 403:
            raise BadConfiguration(f"MLflow at {uri} refuses this host name; add it to the server's --allowed-hosts")
        if answer.is_success:
            return
    raise Unavailable(f"MLflow at {uri} is not healthy")


@contextmanager
def _answering() -> Iterator[None]:
    try:
        yield
    except MlflowException as error:
        if error.error_code in ("PERMISSION_DENIED", "UNAUTHENTICATED", "CUSTOMER_UNAUTHORIZED"):
            raise BadConfiguration(
                f"MLflow refuses this: {_first_line(error)}; check MLFLOW_TRACKING_USERNAME, its permissions, and MLFLOW_TRACKING_PASSWORD"
            ) from None
        if isinstance(error, RestException) and error.error_code not in ("INTERNAL_ERROR", "TEMPORARILY_UNAVAILABLE"):
            raise
        raise _unavailable(error) from error
    except requests.RequestException as error:  # from the upload of artifacts, which MLflow does not wrap
        raise _unavailable(error) from error


def _unavailable(error: Exception) -> Unavailable:
    return Unavailable(f"MLflow does not answer: {_first_line(error)}; check RETAKE_MLFLOW_URI")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:200]
