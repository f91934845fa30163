"""Read settings of servers and machine from environment variables with the prefix RETAKE_."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, TypeVar, get_args
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict, SettingsError

from tasks.disk import expanded
from tasks.errors import BadConfiguration

S = TypeVar("S", bound=BaseSettings)
DOCKER_SIZE = r"^\d+[bkmg]$"
CONNECTION_NAME = r"[a-z0-9_-]{1,32}"
LABEL_PATH = "/retake/label/"
"""The short address of the page Label in Airflow."""
REPORT_PATH = "/retake/report/"
LOOP_PATH = "/retake/"
FORM_PATH = "/retake/trigger/"
TRAINING_PAGES = "workflowType=machine_learning"
"""Opens MLflow on its pages for trained networks; without it, on those for language models."""
QUIET_DAYS = 14
"""After so many days without a new video, somebody should check whether videos still arrive."""
EventName = Literal["champion", "approval", "failed", "set_aside", "idle", "full", "unlike", "digest"]
_StoreRoot = Annotated[str, AfterValidator(lambda uri: uri.rstrip("/"))]


def _expanded(path: Path) -> Path:
    try:
        return expanded(path)
    except BadConfiguration as error:
        # With this `load` names the variable, too.
        raise ValueError(error) from None


_Place = Annotated[Path, AfterValidator(_expanded)]
_WORDS = BeforeValidator(lambda text: text.split() if isinstance(text, str) else text)


class S3Server(BaseModel):
    """Address and keys of an S3 server."""

    endpoint: str = Field(pattern=r"^[^/\s]+$", description="host:port of the S3 server, without http://")
    access_key: SecretStr
    secret_key: SecretStr
    secure: bool = Field(False, description="use TLS to the S3 server")
    region: str = "us-east-1"


class StoreSettings(S3Server, BaseSettings):
    """Address and keys of the object store."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_STORE_")


class S3Connection(S3Server):
    """Another S3 server, from which videos are taken, and into which backups are written."""

    model_config = ConfigDict(extra="forbid")

    in_place: bool = Field(False, description="leave the videos there, and read them from there, instead of copying them into the store")


class SourceSettings(BaseSettings):
    """Where videos come from. Both variables are JSON objects."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_", env_ignore_empty=True)

    sources: dict[_StoreRoot, list[str]] = Field(
        {}, description="by the address of a store, the sources that an ingest without sources takes besides its inbox"
    )
    s3_connections: dict[Annotated[str, Field(pattern=rf"^{CONNECTION_NAME}$")], S3Connection] = Field(
        {}, description="by a name, the servers of sources such as s3+NAME://bucket/videos/**.mp4"
    )


class MlflowSettings(BaseSettings):
    """The address of MLflow; MLflow's own variables set its user and password."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_MLFLOW_")

    uri: str = Field(description="http address of the MLflow server for this process")
    public_uri: str | None = Field(None, description="its address in a browser, if different")
    database: SecretStr | None = Field(None, description="address of its database, if clean_up may remove from it what people deleted")


class LogSettings(BaseSettings):
    """The log of a step, and the run that it belongs to."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_")

    log_format: Literal["text", "json"] = Field("text", description="lines for people, or a JSON object on each line")
    airflow_url: str | None = Field(None, description="address of the Airflow run that started this step")


class MachineSettings(LogSettings):
    """Use of the machine by a step, and the step's provenance."""

    cache_dir: _Place = Field(
        Path("~/.cache/retake"),
        description="decoded frames, features of frozen backbones and downloaded weights; may be deleted at any time",
    )
    cache_gib: float = Field(0, ge=0, description="GiB of frames and features that clean_up leaves in the cache; 0: no limit")
    num_processes: int = Field(0, ge=0, description="processes for decoding; 0: every core available to this process")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    trains_on: Literal["cpu", "cuda"] | None = Field(
        None,
        description="device of the steps that train, where each step has a machine of its own; Airflow sets it; default: this machine's",
    )
    devices: int = Field(1, ge=1, description="processes of one training on this machine, one per GPU or all on the CPU")
    ffmpeg: _Place | None = Field(
        None, description="ffmpeg binary; default: imageio-ffmpeg's, else the system's. Its version is part of the address of clips"
    )
    videos_dir: _Place | None = Field(None, description="the only folder from which local files are ingested; default: any")
    allow_private_addresses: bool = Field(
        False, description="allow downloads from loopback and private networks, and web pages of any site"
    )
    code_version: str = Field("unknown", description="git revision of the code, for provenance")


class RunnerSettings(BaseSettings):
    """Choice of the runner of steps in Airflow."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_")

    runner: Literal["local", "docker", "kubernetes"] = Field("local", description="runner of steps: process, container or pod")
    gpu: Literal["auto", "required", "off"] = Field(
        "auto", description="GPUs for training and testing; auto: for a container if the Docker Engine has any, for a pod always"
    )
    python: Path | None = Field(None, description="interpreter of steps that run as a process; default: Airflow's")
    store_uri: _StoreRoot = Field("s3://retake", description="the bucket, or a prefix in it, that holds all data")
    clean_up: Literal["list", "delete"] = Field("list", description="whether the weekly clean_up deletes, or lists what it would delete")

    @property
    def prediction_pool(self) -> str:
        """Name Airflow's pool of predictions: without GPUs, none waits behind a training."""
        return "prediction" if self.gpu == "off" else "gpu"

    @property
    def for_curves(self) -> dict[str, str]:
        """Name Airflow's pool and queue of learning curves: without GPUs, nothing waits for them."""
        return {"pool": "default_pool", "queue": "cpu"} if self.gpu == "off" else {"pool": "gpu", "queue": "gpu"}


class LabellingSettings(BaseSettings):
    """The pages *Retake* and *Label* in Airflow."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_LABEL_")

    stores: list[_StoreRoot] = Field([], description="further stores that the pages offer, besides RETAKE_STORE_URI; a JSON list")
    second_share: float = Field(
        0.1, ge=0, le=1, description="share of the clips that a second person labels, too, without seeing the first label"
    )


class NotifySettings(BaseSettings):
    """Word to people. Addresses and events are separated by spaces."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_", env_ignore_empty=True)

    notify: Annotated[tuple[SecretStr, ...], NoDecode, _WORDS] = Field((), description="Apprise addresses that get every notice")
    notify_events: Annotated[tuple[EventName, ...], NoDecode, _WORDS] = Field(get_args(EventName), description="events to notify about")
    notify_idle_days: int = Field(QUIET_DAYS, ge=1, description="days without a new video after which people are told")
    notify_store_gib: float | None = Field(None, gt=0, description="size of the store that it may have; told from nine tenths of it on")


class ApprovalSettings(BaseSettings):
    """Who may approve a promotion."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_", env_ignore_empty=True)

    approvers: dict[str, SecretStr] = Field(
        {}, description="by the user id of Airflow, an Apprise address or an empty text; a JSON object; default: whoever may answer there"
    )


class DockerSettings(BaseSettings):
    """Containers of steps on a Docker Engine."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_DOCKER_")

    host: str = Field("tcp://docker-proxy:2375", description="address of the Docker Engine or its proxy")
    worker_image: str = Field(description="image of the steps that need no torch")
    trainer_image: str = Field(description="image of the steps that need torch")
    network: str = Field(description="network with access to the object store and MLflow")
    cache_volume: str = Field("retake-cache", description="volume for decoded frames and downloaded weights; may be deleted at any time")
    videos_volume: str | None = Field(None, description="volume of videos, mounted at /videos")
    source_volume: str | None = Field(None, description="volume that replaces the images' tasks/, for development")
    worker_memory: str = Field("4g", pattern=DOCKER_SIZE, description="memory limit of a worker container, such as 512m or 4g")
    trainer_memory: str = Field("12g", pattern=DOCKER_SIZE, description="memory limit of a trainer container, such as 12g")
    worker_cpus: float = Field(0, ge=0, description="cores of a worker container; 0: all")
    trainer_cpus: float = Field(0, ge=0, description="cores of a trainer container; 0: all")
    pids_limit: int = Field(512, ge=1, description="maximum number of processes and threads of a container")
    shm_size: str = Field("1g", pattern=DOCKER_SIZE, description="shared memory of a container, used by torch's data loaders")


class Toleration(BaseModel):
    """A toleration of a pod, spelled as in a manifest."""

    model_config = ConfigDict(extra="forbid")

    key: str | None = None
    operator: Literal["Exists", "Equal"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = Field(None, alias="tolerationSeconds")


class KubernetesSettings(BaseSettings):
    """Pods of steps. Lists and objects are JSON."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_KUBERNETES_")

    namespace: str = Field(description="namespace of the pods")
    worker_image: str = Field(description="image of the steps that need no torch")
    trainer_image: str = Field(description="image of the steps that need torch")
    secret_name: str = Field(description="Secret with the secret variables of steps, such as RETAKE_STORE_SECRET_KEY")
    config_map: str | None = Field(None, description="ConfigMap with further variables of steps, such as HTTP_PROXY")
    service_account: str | None = Field(None, description="service account of the pods; its token is not mounted")
    worker_requests: dict[str, str] = Field({"cpu": "500m", "memory": "1Gi"}, description="resource requests of a worker pod")
    worker_limits: dict[str, str] = Field({"memory": "4Gi"}, description="resource limits of a worker pod")
    trainer_requests: dict[str, str] = Field({"cpu": "2", "memory": "4Gi"}, description="resource requests of a trainer pod")
    trainer_limits: dict[str, str] = Field({"memory": "12Gi"}, description="resource limits of a trainer pod")
    gpu_resource: str = Field("nvidia.com/gpu", description="resource name of a GPU")
    gpu_count: int = Field(1, ge=1, description="GPUs of a pod that trains or tests, unless RETAKE_GPU is off")
    node_selector: dict[str, str] = Field({}, description="node selector of the pods")
    tolerations: list[Toleration] = Field([], description="tolerations of the pods")
    gpu_node_selector: dict[str, str] = Field({}, description="additional node selector of pods with a GPU")
    gpu_tolerations: list[Toleration] = Field(
        [Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")], description="additional tolerations of pods with a GPU"
    )
    cache_claim: str | None = Field(
        None, description="claim of a shared volume for decoded frames and weights; default: an own cache per pod"
    )
    cache_size: str = Field("20Gi", description="size limit of a pod's own cache")
    scratch_size: str = Field("50Gi", description="size limit of a pod's scratch folder")
    shm_size: str = Field("1Gi", description="shared memory of a pod, used by torch's data loaders; counts as its memory")
    user: int = Field(10001, ge=1, description="user and group id of a step")
    start_seconds: int = Field(900, ge=1, description="maximum wait of a pod for a node, and again for its image")
    poll_seconds: float = Field(10, gt=0, description="interval between two checks of a pod")


def label_url(airflow_url: str | None, uid: str = "", *, uri: str) -> str:
    """Make the address of a store's page Label, or of a clip on it.

    The store is that of `uri`. The address is empty if the run's Airflow is not known.
    """
    return in_airflow(airflow_url, f"{LABEL_PATH}?store={quote(uri, safe=':/')}" + (f"#clip={quote(uid, safe='')}" if uid else ""))


def report_url(page_uri: str, otherwise: str) -> str:
    """Make the address of a store's page in this run's Airflow, else return `otherwise`."""
    return in_airflow(load(MachineSettings).airflow_url, f"{REPORT_PATH}?page={quote(page_uri, safe=':/')}") or otherwise


def form_path(dag: str, conf: Mapping[str, object]) -> str:
    """Make the path of the form of a DAG with these options filled in."""
    given = json.dumps(conf, separators=(",", ":"))
    return f"{FORM_PATH}?dag={dag}&conf={quote(given, safe='')}"


def training_pages(address: str) -> str:
    """Address the pages for trained networks of an MLflow server."""
    return training_page(f"{address}/#/experiments")


def training_page(run_url: str) -> str:
    """Address an MLflow run on the pages for trained networks; empty without a run."""
    return run_url and f"{run_url}?{TRAINING_PAGES}"


def in_airflow(airflow_url: str | None, path: str) -> str:
    """Make the address of a page in a run's Airflow; empty if that is unknown."""
    base, dags, _ = (airflow_url or "").partition("/dags/")
    return base + path if dags and urlsplit(base).scheme in ("http", "https") else ""


def load(settings: type[S]) -> S:
    """Read `settings` from the environment.

    Raises:
        BadConfiguration: a variable is missing or malformed; the message names each.
    """
    try:
        return settings()
    except ValidationError as error:
        prefix = settings.model_config.get("env_prefix", "")
        problems = "; ".join(
            f"{prefix}{'_'.join(map(str, e['loc']))}".upper() + f": {e['msg'].removeprefix('Value error, ')}" for e in error.errors()
        )
        raise BadConfiguration(
            f'environment: {problems}. In a shell, `eval "$(.venv/bin/python -m tasks.local env)"` sets them; see docs/settings.md.'
        ) from None
    except SettingsError as error:
        raise BadConfiguration(f"environment: {settings.model_config.get('env_prefix', '')}…: {error}; write JSON") from None
