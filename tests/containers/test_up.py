"""`make up` from nothing to healthy, and again."""

import pytest

from tests.containers.stack import PORTS, STACK_SECONDS

pytestmark = [pytest.mark.containers, pytest.mark.timeout(STACK_SECONDS)]

ONE_SHOTS = {"airflow-setup", "mlflow-setup", "store-setup", "store-volume", "trainer"}


def test_make_up_says_where_everything_is_and_where_the_passwords_are(first_up, cold_stack):
    for port in ("RETAKE_AIRFLOW_PORT", "RETAKE_MLFLOW_PORT", "RETAKE_STORE_PORT"):
        assert f"http://localhost:{PORTS[port]}" in first_up
    assert "RETAKE_AIRFLOW_PASSWORD in .env" in first_up
    assert cold_stack.variables["RETAKE_AIRFLOW_PASSWORD"] not in first_up


def test_every_service_is_healthy_and_every_one_shot_has_ended_well(stack):
    for service, container in stack.containers.items():
        state = container.attrs["State"]
        if service in ONE_SHOTS:
            assert (service, state["Status"], state["ExitCode"]) == (service, "exited", 0)
        else:
            assert (service, state["Health"]["Status"]) == (service, "healthy")


def test_the_images_name_the_revision_that_they_were_made_from(stack):
    images = [stack.engine.images.get(f"retake/{name}:test") for name in ("airflow", "worker", "trainer", "mlflow", "docker-proxy")]
    (revision,) = {image.labels["org.opencontainers.image.revision"] for image in images}
    assert len(revision.removesuffix("-dirty")) == 40
