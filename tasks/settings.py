"""Where the servers are and how this process may use the machine: environment variables with the prefix RETAKE_."""

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from tasks.errors import BadConfiguration

S = TypeVar("S", bound=BaseSettings)
DOCKER_SIZE = r"^\d+[bkmg]$"


class StoreSettings(BaseSettings):
    """How to reach the object store."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_STORE_")

    endpoint: str = Field(pattern=r"^[^/\s]+$", description="host:port of the S3 server, without http://")
    access_key: SecretStr
    secret_key: SecretStr
    secure: bool = Field(False, description="speak TLS to the S3 server")
    region: str = "us-east-1"


class MlflowSettings(BaseSettings):
    """How to reach MLflow. A user name and a password, where the server wants them, are MLflow's own variables."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_MLFLOW_")

    uri: str = Field(description="http address of the MLflow server as this process sees it")
    public_uri: str | None = Field(None, description="the address in a person's browser, where it differs")


class MachineSettings(BaseSettings):
    """How a step may use the machine that it runs on, and who started it."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_")

    cache_dir: Path = Field(
        Path("~/.cache/retake"),
        description="decoded frames, features of frozen backbones and downloaded weights; may be deleted at any time",
    )
    num_processes: int = Field(0, ge=0, description="processes for decoding; 0 takes every core this process may use")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    devices: int = Field(1, ge=1, description="processes that train together on this machine, each on a GPU of its own or all on the CPU")
    num_nodes: int = Field(1, ge=1, description="machines that train together; the same step is started on each")
    ffmpeg: Path | None = Field(None, description="ffmpeg binary; else imageio-ffmpeg's, else the system's; clips lie under its version")
    videos_dir: Path | None = Field(None, description="the only folder that local files are taken in from; else they may lie anywhere")
    allow_private_addresses: bool = Field(False, description="let downloads reach loopback and private networks")
    code_version: str = Field("unknown", description="git revision of the code, for provenance")
    airflow_url: str | None = Field(None, description="address of the Airflow run that started this step")


class RunnerSettings(BaseSettings):
    """How Airflow runs a step."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_")

    runner: Literal["local", "docker", "kubernetes"] = Field("local", description="what a step runs as: a process, a container or a pod")
    gpu: Literal["auto", "required", "off"] = Field(
        "auto", description="whether training and testing get GPUs; auto: a container where the Docker Engine has any, a pod always"
    )
    python: Path | None = Field(None, description="interpreter that runs a step as a process; else the one that runs Airflow")
    store_uri: str = Field("s3://retake", description="the bucket, or a prefix in it, that holds everything")


class DockerSettings(BaseSettings):
    """How a step runs as a container of a Docker Engine."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_DOCKER_")

    host: str = Field("tcp://docker-proxy:2375", description="address of the Docker Engine, or of a proxy before it")
    worker_image: str = Field(description="image of the steps that need no torch")
    trainer_image: str = Field(description="image of the steps that need torch")
    network: str = Field(description="network from which the object store and MLflow can be reached")
    cache_volume: str = Field("retake-cache", description="volume for decoded frames and downloaded weights; may be deleted at any time")
    videos_volume: str | None = Field(None, description="volume of videos, which steps read at /videos")
    source_volume: str | None = Field(None, description="volume that stands in for the images' own tasks/, for work on the code")
    worker_memory: str = Field("4g", pattern=DOCKER_SIZE, description="memory limit of a worker container, as in 512m or 4g")
    trainer_memory: str = Field("12g", pattern=DOCKER_SIZE, description="memory limit of a trainer container, as in 12g")
    worker_cpus: float = Field(0, ge=0, description="cores that a worker container may use; 0: all")
    trainer_cpus: float = Field(0, ge=0, description="cores that a trainer container may use; 0: all")
    pids_limit: int = Field(512, ge=1, description="processes and threads that one container may have")
    shm_size: str = Field("1g", pattern=DOCKER_SIZE, description="shared memory of a container, through which torch's loaders pass frames")


class Toleration(BaseModel):
    """A taint of nodes that a pod may run on all the same, spelled as in a manifest."""

    model_config = ConfigDict(extra="forbid")

    key: str | None = None
    operator: Literal["Exists", "Equal"] = "Equal"
    value: str | None = None
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    toleration_seconds: int | None = Field(None, alias="tolerationSeconds")


class KubernetesSettings(BaseSettings):
    """How a step runs as a pod. Lists and objects are JSON."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_KUBERNETES_")

    namespace: str = Field(description="namespace of the pods")
    worker_image: str = Field(description="image of the steps that need no torch")
    trainer_image: str = Field(description="image of the steps that need torch")
    secret_name: str = Field(description="Secret whose keys are the variables that no one may read, such as RETAKE_STORE_SECRET_KEY")
    config_map: str | None = Field(None, description="ConfigMap whose keys are further variables of a step, such as HTTP_PROXY")
    service_account: str | None = Field(None, description="account that the pods run under; its token is never given to them")
    worker_requests: dict[str, str] = Field({"cpu": "500m", "memory": "1Gi"}, description="what a worker pod is promised")
    worker_limits: dict[str, str] = Field({"memory": "4Gi"}, description="what a worker pod may use at most")
    trainer_requests: dict[str, str] = Field({"cpu": "2", "memory": "4Gi"}, description="what a trainer pod is promised")
    trainer_limits: dict[str, str] = Field({"memory": "12Gi"}, description="what a trainer pod may use at most")
    gpu_resource: str = Field("nvidia.com/gpu", description="the cluster's name for a GPU")
    gpu_count: int = Field(1, ge=1, description="GPUs of a pod that trains or tests, unless RETAKE_GPU is off")
    node_selector: dict[str, str] = Field({}, description="labels of the nodes that the pods may run on")
    tolerations: list[Toleration] = Field([], description="taints of nodes that the pods may run on all the same")
    gpu_node_selector: dict[str, str] = Field({}, description="further labels of the nodes for pods with a GPU")
    gpu_tolerations: list[Toleration] = Field(
        [Toleration(key="nvidia.com/gpu", operator="Exists", effect="NoSchedule")], description="further taints for pods with a GPU"
    )
    cache_claim: str | None = Field(None, description="claim of a shared volume for decoded frames and weights; else each pod has its own")
    cache_size: str = Field("20Gi", description="limit of a pod's own cache, where there is no claim")
    scratch_size: str = Field("50Gi", description="limit of a pod's scratch folder")
    shm_size: str = Field("1Gi", description="shared memory of a pod, through which torch's loaders pass frames; counts as its memory")
    user: int = Field(10001, ge=1, description="number of the user and the group that a step runs as")
    start_seconds: int = Field(900, ge=1, description="how long a pod may wait for a node, and again for its image")
    poll_seconds: float = Field(10, gt=0, description="how often a pod is looked at")


def load(settings: type[S]) -> S:
    """Read `settings` from the environment.

    Raises:
        BadConfiguration: a variable is missing or malformed; the message names each.
    """
    try:
        return settings()
    except ValidationError as error:
        prefix = settings.model_config.get("env_prefix", "")
        problems = "; ".join(f"{prefix}{'_'.join(map(str, e['loc']))}".upper() + f": {e['msg']}" for e in error.errors())
        raise BadConfiguration(
            f'environment: {problems}. In a shell, `eval "$(.venv/bin/python -m tasks.local env)"` sets them; see docs/settings.md.'
        ) from None
    except SettingsError as error:
        raise BadConfiguration(f"environment: {settings.model_config.get('env_prefix', '')}…: {error}; write JSON") from None
