"""The compose files, as Docker reads them."""

import json

import pytest

from tests.containers.stack import STACK_SECONDS
from tests.docker.test_images import PINNED

pytestmark = [pytest.mark.containers, pytest.mark.timeout(STACK_SECONDS)]

FILES = {
    "the stack": ["docker-compose.yml"],
    "several machines": ["docker-compose.yml", "docker/compose.celery.yml"],
    "development": ["docker-compose.yml", "docker/compose.dev.yml"],
}


@pytest.mark.parametrize("files", FILES.values(), ids=FILES.keys())
def test_the_files_are_valid_and_every_image_has_a_pinned_tag(cold_stack, files):
    cold_stack.make("secrets")
    services = json.loads(cold_stack.compose(*(f"--file={file}" for file in files), "config", "--format=json"))["services"]
    assert {name: service["image"] for name, service in services.items() if not PINNED.match(service["image"])} == {}


def test_a_missing_secret_stops_the_start_with_a_message(cold_stack):
    cold_stack.make("secrets")
    with pytest.raises(AssertionError, match="RETAKE_AIRFLOW_JWT_SECRET is missing"):
        cold_stack.compose("config", RETAKE_AIRFLOW_JWT_SECRET="")


def test_another_store_needs_one_variable_and_starts_none_here(cold_stack):
    cold_stack.make("secrets")
    elsewhere = {"RETAKE_STORE_ENDPOINT": "s3.example:443", "RETAKE_STORE_SECURE": "true", "COMPOSE_PROFILES": ""}
    services = json.loads(cold_stack.compose("config", "--format=json", **elsewhere))["services"]
    assert not {"minio", "store-volume"} & services.keys()
    assert services["mlflow"]["environment"]["MLFLOW_S3_ENDPOINT_URL"] == "https://s3.example:443"
    assert services["airflow-scheduler"]["environment"]["RETAKE_STORE_ENDPOINT"] == "s3.example:443"
    assert '"https://s3.example:443"' in services["airflow-api"]["environment"]["AIRFLOW_CONN_RETAKE_LOGS"]
