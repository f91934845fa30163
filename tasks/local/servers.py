"""Define the three servers of `make run`: command, ports, environment, and health check."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import httpx

from tasks.errors import BadConfiguration, RetakeError
from tasks.learn.gpus import num_gpus
from tasks.local import warm
from tasks.local.airflow_api import HEALTH_CLIENT
from tasks.local.airflow_api import is_healthy as airflow_is_healthy
from tasks.local.choices import SAMPLE_STORE
from tasks.local.home_folder import ADMINISTRATOR, AIRFLOW_ROLES, REPOSITORY, Credentials, Home, people, write_private
from tasks.local.processes import LOOPBACK
from tasks.settings import StoreSettings
from tasks.store.objects import Store

DAGS = REPOSITORY / "dags"

_LOCAL_SETTINGS = f"""# Written by `make run`: Airflow's log servers are reached at the loopback address.
__all__ = []  # none of these names may override Airflow's settings


def hostname():
    return "{LOOPBACK}"
"""


def passwords_file(home: Home) -> Path:
    """Locate the password file of Airflow's simple auth manager."""
    return home.root / "airflow" / "passwords.json"


def write_airflow_files(home: Home, credentials: Credentials) -> None:
    """Write the password file and the host name into Airflow's home."""
    home.folder("airflow/config")
    passwords = {ADMINISTRATOR: credentials.airflow_password, **{name: person.password for name, person in people(home).items()}}
    write_private(passwords_file(home), json.dumps(passwords))
    write_private(home.root / "airflow" / "config" / "airflow_local_settings.py", _LOCAL_SETTINGS)


def airflow_environment(home: Home, credentials: Credentials, ports: dict[str, int]) -> dict[str, str]:
    """Make Airflow's configuration as environment variables. `ports` has `airflow`, `airflow_worker_logs` and `airflow_trigger_logs`."""
    folder = home.root / "airflow"
    address = f"http://{LOOPBACK}:{ports['airflow']}"
    roles = {ADMINISTRATOR: "admin", **{name: AIRFLOW_ROLES[person.role] for name, person in people(home).items()}}
    sections: dict[str, dict[str, object]] = {
        "CORE": {
            "DAGS_FOLDER": DAGS,
            "PLUGINS_FOLDER": DAGS / "plugins",
            "LOAD_EXAMPLES": False,
            "DAGS_ARE_PAUSED_AT_CREATION": False,
            "EXECUTOR": "LocalExecutor",
            "PARALLELISM": 4,
            "FERNET_KEY": credentials.airflow_fernet_key,
            "HOSTNAME_CALLABLE": "airflow_local_settings.hostname",
            "SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in roles.items()),
            "SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": passwords_file(home),
        },
        "API": {"HOST": LOOPBACK, "PORT": ports["airflow"], "BASE_URL": address, "SECRET_KEY": credentials.airflow_secret_key},
        "API_AUTH": {"JWT_SECRET": credentials.airflow_jwt_secret},
        "DATABASE": {"SQL_ALCHEMY_CONN": f"sqlite:///{airflow_database(home)}"},
        # Idle sleep: 1 s doubles the time of a chain of short steps, 0.1 s takes a sixth of a core.
        # Orphaned tasks of a killed scheduler are adopted after one minute instead of five, and those of a killed worker retried after one.
        "SCHEDULER": {
            "SCHEDULER_IDLE_SLEEP_TIME": 0.3,
            "JOB_HEARTBEAT_SEC": 2,
            "ORPHANED_TASKS_CHECK_INTERVAL": 30,
            "TASK_INSTANCE_HEARTBEAT_TIMEOUT": 60,
        },
        # Airflow notices the end of a skipped task only at the next heartbeat.
        "WORKERS": {"MIN_HEARTBEAT_INTERVAL": 1},
        # A DAG file that changes is parsed within `REFRESH_INTERVAL`, the others at this interval.
        "DAG_PROCESSOR": {"PARSING_PROCESSES": 1, "REFRESH_INTERVAL": 30, "MIN_FILE_PROCESS_INTERVAL": 600, "PRINT_STATS_INTERVAL": 3600},
        "LOGGING": {
            "WORKER_LOG_SERVER_PORT": ports["airflow_worker_logs"],
            "TRIGGER_LOG_SERVER_PORT": ports["airflow_trigger_logs"],
            "COLORED_CONSOLE_LOG": False,
        },
    }
    flat = {f"AIRFLOW__{section}__{key}": str(value) for section, values in sections.items() for key, value in values.items()}
    return {"AIRFLOW_HOME": str(folder), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **flat}


def telemetry_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Make Airflow's variables for traces, metrics and lineage: those of the shell that are set."""
    given = {name: value for name, value in environment.items() if name.startswith(("OTEL_", "OPENLINEAGE_"))}
    if not given.get("OTEL_EXPORTER_OTLP_ENDPOINT"):
        return given
    # Airflow's own default is gRPC for traces, and HTTP for metrics.
    defaults = {"OTEL_TRACES_EXPORTER": "otlp_proto_http", "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf", "OTEL_SERVICE_NAME": "airflow"}
    return defaults | given | {"AIRFLOW__TRACES__OTEL_ON": "True", "AIRFLOW__METRICS__OTEL_ON": "True"}


MLFLOW_BUCKET = "s3://retake-mlflow"
WANTED_PORTS: dict[str, dict[str, int]] = {
    "store": {
        "store": 9000,
        "store_s3_grpc": 19000,
        "store_master": 9333,
        "store_master_grpc": 19333,
        "store_volume": 9340,
        "store_volume_public": 9341,
        "store_volume_grpc": 19340,
        "store_filer": 8888,
        "store_filer_grpc": 18888,
        "store_admin": 23646,
        "store_admin_grpc": 33646,
    },
    "mlflow": {"mlflow": 5000},
    "airflow": {"airflow": 8080, "airflow_worker_logs": 8793, "airflow_trigger_logs": 8794},
}
"""The ports of each server; the first is the public one."""

TITLES = {"store": "object store", "mlflow": "MLflow", "airflow": "Airflow"}
STOP = signal.SIGTERM, 10.0
"""The signal that ends a server, and its grace in seconds; Airflow would wait for running steps."""

# The shell may configure another Airflow, MLflow or S3. Machine settings for steps (RETAKE_DEVICE …) are inherited.
_NOT_INHERITED = ("AIRFLOW_", "AIRFLOW__", "AWS_", "MLFLOW_", "OTEL_", "OPENLINEAGE_")


@dataclass(frozen=True)
class Server:
    """The specification of one server."""

    name: str
    argv: list[str]
    env: dict[str, str]
    ports: dict[str, int]
    is_healthy: Callable[[], bool]
    max_start_seconds: float
    database: Path | None = None
    """Removed before a start if no start has succeeded yet. An interrupted first start may leave it incomplete."""
    version: str = ""
    migration: tuple[str, ...] = ()
    """The command that brings the database of another version up to date, where the server does not do so itself."""

    @property
    def title(self) -> str:
        """Return its display name."""
        return TITLES[self.name]

    @property
    def address(self) -> str:
        """Return its http address."""
        return f"http://{LOOPBACK}:{self.ports[self.name]}"

    @property
    def fingerprint(self) -> str:
        """Hash the specification: a server with another fingerprint must be restarted."""
        return hashlib.sha256(json.dumps([self.argv, self.env, self.version], sort_keys=True).encode()).hexdigest()

    def full_env(self) -> dict[str, str]:
        """Make the environment of the process: inherited, without variables for other servers."""
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(_NOT_INHERITED)}
        no_proxy = ",".join(filter(None, (os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), LOOPBACK, "localhost")))
        scripts = sysconfig.get_path("scripts")
        return inherited | {"NO_PROXY": no_proxy, "no_proxy": no_proxy, "PATH": f"{scripts}{os.pathsep}{os.environ['PATH']}"} | self.env


def all_servers(home: Home, credentials: Credentials, ports: dict[str, dict[str, int]]) -> list[Server]:
    """List the servers on `ports` (by server, then by name), in order of dependency."""
    settings = step_environment(home, credentials, ports)
    return [
        _object_store(home, credentials, ports["store"]),
        _mlflow(home, credentials, ports),
        _airflow(home, credentials, ports["airflow"], settings),
    ]


def store_settings(credentials: Credentials, ports: dict[str, dict[str, int]]) -> StoreSettings:
    """Make the settings of the local object store."""
    return StoreSettings.model_validate(
        {
            "endpoint": f"{LOOPBACK}:{ports['store']['store']}",
            "access_key": credentials.store_access_key,
            "secret_key": credentials.store_secret_key,
        }
    )


def step_environment(home: Home, credentials: Credentials, ports: dict[str, dict[str, int]]) -> dict[str, str]:
    """Make the environment that a step needs to reach the local servers, secrets included."""
    mlflow = f"http://{LOOPBACK}:{ports['mlflow']['mlflow']}"
    return {
        "RETAKE_STORE_ENDPOINT": f"{LOOPBACK}:{ports['store']['store']}",
        "RETAKE_STORE_ACCESS_KEY": credentials.store_access_key,
        "RETAKE_STORE_SECRET_KEY": credentials.store_secret_key,
        "RETAKE_MLFLOW_URI": mlflow,
        "RETAKE_MLFLOW_PUBLIC_URI": mlflow,
        "RETAKE_MLFLOW_DATABASE": f"sqlite:///{mlflow_database(home)}",
        "RETAKE_CACHE_DIR": os.environ.get("RETAKE_CACHE_DIR") or str(home.root / "cache"),
        "RETAKE_CODE_VERSION": code_version(),
        "RETAKE_PYTHON": _step_python(home),
        "RETAKE_GPU": os.environ.get("RETAKE_GPU") or ("auto" if num_gpus() else "off"),
    }


def code_version() -> str:
    """Return the git revision of this checkout, with `-dirty` if files differ; `unknown` outside git."""
    try:
        git = ["git", "-C", str(REPOSITORY)]
        revision = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=20)  # noqa: S603 - fixed arguments
        changes = subprocess.run([*git, "status", "--porcelain"], capture_output=True, text=True, check=True, timeout=20)  # noqa: S603 - fixed arguments
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return revision.stdout.strip() + ("-dirty" if changes.stdout.strip() else "")


def _step_python(home: Home) -> str:
    """Choose the interpreter of steps: RETAKE_PYTHON, else this interpreter, forked if possible."""
    if warm.is_of_use():
        return str(warm.write_program(home, sys.executable))
    chosen = os.environ.get("RETAKE_PYTHON") or sys.executable
    if shutil.which(chosen) is None:
        raise BadConfiguration(f"RETAKE_PYTHON names {chosen}, which is not a program; correct or unset it")
    return chosen


def _program(name: str) -> str:
    path = Path(sysconfig.get_path("scripts")) / name
    if not path.exists():
        raise BadConfiguration(
            f"{path} is missing; `make run` installs it, or: {sys.executable} -m pip install -e '.[airflow,train,local]'"
        )
    return str(path)


def _answers(url: str) -> bool:
    try:
        return HEALTH_CLIENT.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


def _object_store(home: Home, credentials: Credentials, ports: dict[str, int]) -> Server:
    flags: dict[str, object] = {
        "dir": home.folder("store"),
        "ip": LOOPBACK,
        "ip.bind": LOOPBACK,
        "s3.port": ports["store"],
        "s3.port.grpc": ports["store_s3_grpc"],
        "master.port": ports["store_master"],
        "master.port.grpc": ports["store_master_grpc"],
        # Each bucket needs a volume; by default weed limits their number by the free disk space at startup.
        "volume.max": 10_000,
        "volume.port": ports["store_volume"],
        "volume.port.public": ports["store_volume_public"],
        "volume.port.grpc": ports["store_volume_grpc"],
        "filer.port": ports["store_filer"],
        "filer.port.grpc": ports["store_filer_grpc"],
        "admin.port": ports["store_admin"],
        "admin.port.grpc": ports["store_admin_grpc"],
        "s3.port.iceberg": 0,
        "s3.port.lance": 0,
        "webdav": "false",
        # Over HTTP, filer and master take no keys, and any web page that a browser of this machine shows may ask them.
        # The volume server cannot be closed: it wants each request signed, below.
        "disableHttp": "true",
        "admin.ui": "false",
        "s3.allowDeleteBucketNotEmpty": "false",
        "master.telemetry": "false",
    }

    def is_healthy() -> bool:
        if not _answers(f"http://{LOOPBACK}:{ports['store']}/healthz"):
            return False
        try:
            Store.from_settings(store_settings(credentials, {"store": ports})).ensure_bucket(MLFLOW_BUCKET)
        except RetakeError:
            return False
        return True

    return Server(
        name="store",
        argv=[_program("weed"), "mini", *(f"-{flag}={value}" for flag, value in flags.items())],
        env={
            "AWS_ACCESS_KEY_ID": credentials.store_access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.store_secret_key,
            **dict.fromkeys(("WEED_JWT_SIGNING_KEY", "WEED_JWT_SIGNING_READ_KEY"), credentials.store_secret_key),
        },
        ports=ports,
        is_healthy=is_healthy,
        max_start_seconds=60,
    )


def airflow_database(home: Home) -> Path:
    """Locate Airflow's database."""
    return home.root / "airflow" / "airflow.db"


def mlflow_database(home: Home) -> Path:
    """Locate MLflow's database."""
    return home.root / "mlflow" / "mlflow.db"


def _mlflow(home: Home, credentials: Credentials, ports: dict[str, dict[str, int]]) -> Server:
    own = ports["mlflow"]
    port = own["mlflow"]
    home.folder("mlflow")
    database = mlflow_database(home)
    address = f"sqlite:///{database}"
    flags = {
        "backend-store-uri": address,
        "artifacts-destination": f"{MLFLOW_BUCKET}/artifacts",
        "host": LOOPBACK,
        "port": port,
        "workers": 1,
        "allowed-hosts": f"{LOOPBACK}:{port},localhost:{port}",
    }
    return Server(
        name="mlflow",
        argv=[sys.executable, "-m", "tasks.local.mlflow_process", *(f"--{flag}={value}" for flag, value in flags.items())],
        env={
            "AWS_ACCESS_KEY_ID": credentials.store_access_key,
            "AWS_SECRET_ACCESS_KEY": credentials.store_secret_key,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "MLFLOW_S3_ENDPOINT_URL": f"http://{LOOPBACK}:{ports['store']['store']}",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "PYTHONUNBUFFERED": "1",
        },
        ports=own,
        is_healthy=lambda: _answers(f"http://{LOOPBACK}:{port}/health"),
        max_start_seconds=120,
        database=database,
        version=version("mlflow"),
        migration=(_program("mlflow"), "db", "upgrade", address),
    )


def _airflow(home: Home, credentials: Credentials, ports: dict[str, int], settings: dict[str, str]) -> Server:
    write_airflow_files(home, credentials)
    address = f"http://{LOOPBACK}:{ports['airflow']}"
    return Server(
        name="airflow",
        argv=[sys.executable, "-m", "tasks.local.airflow_process", _program("airflow")],
        env=airflow_environment(home, credentials, ports)
        | telemetry_environment(os.environ)
        | settings
        | {"RETAKE_LABEL_STORES": json.dumps([SAMPLE_STORE])},
        ports=ports,
        # Airflow builds the execution API at its first request, which takes seconds: do it before the first task.
        is_healthy=lambda: _answers(f"{address}/execution/health") and airflow_is_healthy(address),
        max_start_seconds=180,
        database=airflow_database(home),
    )
