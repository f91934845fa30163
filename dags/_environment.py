"""Select the environment of a step, without Airflow's own database connection and signing keys."""

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote

from airflow.sdk import Context, conf
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from tasks.settings import MlflowSettings, StoreSettings

REPOSITORY = Path(__file__).resolve().parents[1]
PROXY_NAMES = frozenset(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"))
TUNING_PREFIXES = ("NCCL_", "PYTORCH_")
"""Passed to every step, wherever it runs."""
PASSED_PREFIXES = ("RETAKE_", "AWS_", "MLFLOW_", "LC_", "CUDA_", "NVIDIA_", "OMP_", *TUNING_PREFIXES)
PASSED_NAMES = PROXY_NAMES | {"PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "XDG_CACHE_HOME", "SSL_CERT_FILE"}
"""Passed to a process on this machine, with those of PASSED_PREFIXES and of OpenTelemetry."""
NOTIFY_NAMES = frozenset({"RETAKE_NOTIFY", "RETAKE_APPROVERS"})
"""Their addresses have passwords and tokens, which no step needs."""

SERVER_NAMES = frozenset(
    f"{model.model_config.get('env_prefix')}{name}".upper() for model in (StoreSettings, MlflowSettings) for name in model.model_fields
)
SECRET_NAMES = frozenset((
    *("RETAKE_STORE_ACCESS_KEY", "RETAKE_STORE_SECRET_KEY", "RETAKE_S3_CONNECTIONS"),
    *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),
    *("OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"),
))  # fmt: skip
CONTAINER_NAMES = (
    SERVER_NAMES
    | SECRET_NAMES
    | PROXY_NAMES
    | {"RETAKE_DEVICE", "RETAKE_DEVICES", "RETAKE_NUM_PROCESSES", "RETAKE_ALLOW_PRIVATE_ADDRESSES", "RETAKE_SOURCES", "RETAKE_CACHE_GIB"}
    | {"RETAKE_LOG_FORMAT"}
)
"""Passed to a container, with those of TUNING_PREFIXES and of OpenTelemetry: paths, libraries and the code version come from its image."""

CACHE_DIR = "/var/cache/retake"
SCRATCH_DIR = "/scratch"
VIDEOS_DIR = "/videos"
SOURCE_DIR = "/opt/retake/tasks"


def inherited(environment: Mapping[str, str]) -> dict[str, str]:
    """Select the variables that a process on this machine gets."""
    return {name: value for name, value in environment.items() if name.upper() in PASSED_NAMES or name.startswith(PASSED_PREFIXES)}


def process_environment(environment: Mapping[str, str], context: Context) -> dict[str, str]:
    """Make the environment of a step that runs as a process, with its run's address."""
    passed = {name: value for name, value in inherited(environment).items() if name not in NOTIFY_NAMES}
    return passed | _of_telemetry(environment) | _of_task(context)


def container_environment(environment: Mapping[str, str], context: Context, *, trains_on_gpu: bool) -> dict[str, str]:
    """Select the variables of a container. They include secrets: never show them in Airflow."""
    passed = {name: value for name, value in environment.items() if name.upper() in CONTAINER_NAMES or name.startswith(TUNING_PREFIXES)}
    return passed | {
        **_of_telemetry(environment),
        **_of_task(context),
        "RETAKE_CACHE_DIR": CACHE_DIR,
        "TMPDIR": SCRATCH_DIR,
        "RETAKE_TRAINS_ON": "cuda" if trains_on_gpu else "cpu",
    }


def _of_telemetry(environment: Mapping[str, str]) -> dict[str, str]:
    """Select OpenTelemetry's variables of traces: steps send nothing else, under a name of their own."""
    others = ("OTEL_SERVICE_NAME", "OTEL_EXPORTER_OTLP_METRICS_", "OTEL_EXPORTER_OTLP_LOGS_")
    return {name: value for name, value in environment.items() if name.startswith("OTEL_") and not name.startswith(others)}


def _of_task(context: Context) -> dict[str, str]:
    """Make the variables that lead back to the task: its run's address, and any span."""
    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    run = context["dag_run"]
    return {"RETAKE_AIRFLOW_URL": run_url(run.dag_id, run.run_id), **{name.upper(): value for name, value in carrier.items()}}


def run_url(dag_id: str, run_id: str) -> str:
    """Make the address of a run's page in Airflow."""
    return f"{airflow_url()}/dags/{quote(dag_id)}/runs/{quote(run_id)}"


def airflow_url() -> str:
    """Return the address of Airflow, without a slash at the end."""
    return conf.get("api", "base_url", fallback="http://localhost:8080").rstrip("/")
