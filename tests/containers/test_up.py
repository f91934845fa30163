"""`make up` from nothing to healthy, and again."""

import stat

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


def test_the_secrets_are_for_their_owner_alone_and_stay_as_they_are(stack):
    env = stack.folder / ".env"
    before = env.read_text()
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    again = stack.make("up")
    assert again.returncode == 0, again.stdout
    assert env.read_text() == before


def test_the_images_name_the_revision_that_they_were_made_from(stack):
    revisions = {
        image: stack.engine.images.get(f"retake/{image}:test").labels["org.opencontainers.image.revision"]
        for image in ("airflow", "worker", "trainer", "mlflow", "docker-proxy")
    }
    assert len(set(revisions.values())) == 1
    assert len(revisions["trainer"].removesuffix("-dirty")) == 40


def test_a_checkout_without_its_secrets_leaves_what_is_there_alone(stack):
    env = stack.folder / ".env"
    away = env.rename(env.with_name("away"))
    try:
        done = stack.make("up")
        assert done.returncode != 0
        assert "volume retake-test_postgres of an earlier stack" in done.stdout
        assert not env.exists()
    finally:
        away.rename(env)
