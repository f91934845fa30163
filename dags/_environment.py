"""Select the environment of a step. Airflow's own variables hold its database connection and signing keys, so none is passed."""

from collections.abc import Mapping
from urllib.parse import quote

from airflow.sdk import Context, conf

from tasks.settings import MlflowSettings, StoreSettings

PROXY_NAMES = frozenset(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"))
PASSED_PREFIXES = ("RETAKE_", "AWS_", "MLFLOW_", "LC_", "CUDA_", "NVIDIA_", "OMP_")
PASSED_NAMES = PROXY_NAMES | {"PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "XDG_CACHE_HOME", "SSL_CERT_FILE"}
"""Passed to a process on this machine, with those of PASSED_PREFIXES."""

SERVER_NAMES = frozenset(
    f"{model.model_config.get('env_prefix')}{name}".upper() for model in (StoreSettings, MlflowSettings) for name in model.model_fields
)
SECRET_NAMES = frozenset((
    *("RETAKE_STORE_ACCESS_KEY", "RETAKE_STORE_SECRET_KEY", "RETAKE_S3_CONNECTIONS"),
    *("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"),
))  # fmt: skip
CONTAINER_NAMES = (
    SERVER_NAMES
    | SECRET_NAMES
    | PROXY_NAMES
    | {"RETAKE_DEVICE", "RETAKE_DEVICES", "RETAKE_NUM_PROCESSES", "RETAKE_ALLOW_PRIVATE_ADDRESSES", "RETAKE_SOURCES", "RETAKE_CACHE_GIB"}
)
"""Passed to a container: paths, libraries and the code version come from its image."""

CACHE_DIR = "/var/cache/retake"
SCRATCH_DIR = "/scratch"
VIDEOS_DIR = "/videos"
SOURCE_DIR = "/opt/retake/tasks"


def process_environment(environment: Mapping[str, str], context: Context) -> dict[str, str]:
    """Make the environment of a step that runs as a process, with its run's address."""
    passed = {name: value for name, value in environment.items() if name.upper() in PASSED_NAMES or name.startswith(PASSED_PREFIXES)}
    return passed | {"RETAKE_AIRFLOW_URL": _run_url(context)}


def container_environment(environment: Mapping[str, str], context: Context, *, trains_on_gpu: bool) -> dict[str, str]:
    """Select the variables of a step that runs in a container. They include secrets: never show them in Airflow."""
    passed = {name: value for name, value in environment.items() if name.upper() in CONTAINER_NAMES}
    return passed | {
        "RETAKE_AIRFLOW_URL": _run_url(context),
        "RETAKE_CACHE_DIR": CACHE_DIR,
        "TMPDIR": SCRATCH_DIR,
        "RETAKE_TRAINS_ON": "cuda" if trains_on_gpu else "cpu",
    }


def _run_url(context: Context) -> str:
    base = conf.get("api", "base_url", fallback="http://localhost:8080").rstrip("/")
    run = context["dag_run"]
    return f"{base}/dags/{quote(run.dag_id)}/runs/{quote(run.run_id)}"
