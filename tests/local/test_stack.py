"""How a person's commands on this machine reach the stack in containers."""

import pytest

from tasks.local.stack import StackSettings

SECRETS = "RETAKE_AIRFLOW_PASSWORD=a\nRETAKE_STORE_STEPS_ACCESS_KEY=b\nRETAKE_STORE_STEPS_SECRET_KEY=c\n"


@pytest.mark.parametrize(
    ("lines", "airflow", "store"),
    [
        ("", "http://127.0.0.1:8080", "127.0.0.1:9000"),
        ("RETAKE_AIRFLOW_PORT=1\nRETAKE_STORE_PORT=2", "http://127.0.0.1:1", "127.0.0.1:2"),
        ("RETAKE_BIND=10.0.0.5", "http://10.0.0.5:8080", "10.0.0.5:9000"),
        ("RETAKE_BIND=0.0.0.0", "http://127.0.0.1:8080", "127.0.0.1:9000"),
        ("RETAKE_STORE_ENDPOINT=minio:9000", "http://127.0.0.1:8080", "127.0.0.1:9000"),
        ("RETAKE_STORE_ENDPOINT=s3.example:443\nRETAKE_STORE_SECURE=true", "http://127.0.0.1:8080", "s3.example:443"),
        ("RETAKE_STORE_ENDPOINT=\nRETAKE_STORE_SECURE=\nRETAKE_BIND=", "http://127.0.0.1:8080", "127.0.0.1:9000"),
    ],
    ids=["as-written", "ports", "another-address", "every-address", "the-own-store-by-name", "another-store", "empty-lines"],
)
def test_the_stack_is_where_its_env_file_says(lines, airflow, store, tmp_path):
    env = tmp_path / ".env"
    env.write_text(SECRETS + lines)
    settings = StackSettings(_env_file=env)
    assert (settings.airflow_address, settings.store_address) == (airflow, store)
