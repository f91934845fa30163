"""Where the servers are and how this process may use the machine: environment variables with the prefix RETAKE_."""

from pathlib import Path
from typing import Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.errors import BadConfiguration

S = TypeVar("S", bound=BaseSettings)


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

    cache_dir: Path = Field(Path("~/.cache/retake"), description="decoded frames and downloaded weights; may be deleted at any time")
    num_processes: int = Field(0, ge=0, description="processes for decoding; 0 takes every core this process may use")
    device: Literal["auto", "cpu", "cuda"] = "auto"
    ffmpeg: Path | None = Field(None, description="ffmpeg binary; else the system's, else imageio-ffmpeg's")
    allow_private_addresses: bool = Field(False, description="let downloads reach loopback and private networks")
    code_version: str = Field("unknown", description="git revision of the code, for provenance")
    airflow_url: str | None = Field(None, description="address of the Airflow run that started this step")


class RunnerSettings(BaseSettings):
    """How Airflow runs a step."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_")

    runner: Literal["local"] = "local"
    python: Path | None = Field(None, description="interpreter that runs a step; else the one that runs Airflow")
    store_uri: str = Field("s3://retake", description="the bucket, or a prefix in it, that holds everything")


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
        raise BadConfiguration(f"environment: {problems}. `make run` sets these; see README, Settings.") from None
