"""Connect to MLflow, and translate its errors for steps."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import mlflow
import requests
from mlflow.exceptions import MlflowException, RestException

from tasks.errors import BadConfiguration, Unavailable
from tasks.settings import MlflowSettings

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
    return str(error).splitlines()[0][:200]
