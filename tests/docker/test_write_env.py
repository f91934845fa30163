"""The secrets of the stack, as the program writes them that `make secrets` and `make up` run."""

import re
import shutil
import stat
import subprocess
import sys

import pytest

from tasks.local.home import REPOSITORY


@pytest.fixture
def write_env(tmp_path):
    """Runs the program on a checkout of its own. Its exit code and what it says."""
    (tmp_path / "docker").mkdir()
    shutil.copy(REPOSITORY / "docker" / "write_env.py", tmp_path / "docker")

    def run():
        done = subprocess.run([sys.executable, tmp_path / "docker" / "write_env.py"], capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    return run


def values(path):
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if line and not line.startswith("#"))


def test_the_first_run_writes_random_secrets_for_the_owner_alone(write_env, tmp_path):
    assert write_env()[0] == 0
    env = tmp_path / ".env"
    secrets = {name: value for name, value in values(env).items() if name.endswith(("PASSWORD", "KEY", "SECRET", "USER"))}
    assert len(secrets) >= 19
    assert len(set(secrets.values())) == len(secrets)
    assert min(map(len, secrets.values())) >= 20
    assert stat.S_IMODE(env.stat().st_mode) == 0o600


def test_two_checkouts_share_no_secret(write_env, tmp_path):
    write_env()
    first = values(tmp_path / ".env")
    (tmp_path / ".env").unlink()
    write_env()
    second = values(tmp_path / ".env")
    assert {name for name in first if first[name] == second[name]} == {"RETAKE_DOCKER_GID", "RETAKE_VIDEOS", "COMPOSE_PROFILES"}


def test_what_is_there_stays_and_what_is_missing_is_added(write_env, tmp_path):
    env = tmp_path / ".env"
    env.write_text("# mine\nRETAKE_AIRFLOW_PASSWORD=a-word-of-my-own-choice\nRETAKE_AIRFLOW_PORT=9999")
    code, said = write_env()
    assert code == 0
    assert "RETAKE_MLFLOW_PASSWORD" in said
    assert env.read_text().startswith("# mine\nRETAKE_AIRFLOW_PASSWORD=a-word-of-my-own-choice\nRETAKE_AIRFLOW_PORT=9999\n")
    whole = env.read_text()
    assert write_env() == (0, "")
    assert env.read_text() == whole


@pytest.mark.parametrize("value", ["", "changeme-changeme-changeme", "short", "<placeholder of a secret>", "has-a-$dollar-in-the-middle"])
def test_a_placeholder_stops_the_start_and_is_named(value, write_env, tmp_path):
    write_env()
    env = tmp_path / ".env"
    env.write_text(re.sub(r"^RETAKE_MLFLOW_PASSWORD=.*$", lambda _: f"RETAKE_MLFLOW_PASSWORD={value}", env.read_text(), flags=re.MULTILINE))
    code, said = write_env()
    assert code == 78
    assert "RETAKE_MLFLOW_PASSWORD" in said
    assert said.count("\n") == 1


def test_the_root_keys_may_be_empty_where_the_store_is_anothers(write_env, tmp_path):
    write_env()
    env = tmp_path / ".env"
    emptied = re.sub(r"^(RETAKE_STORE_ROOT_\w+)=.*$", r"\1=", env.read_text(), flags=re.MULTILINE)
    env.write_text(emptied)
    assert write_env()[0] == 78
    env.write_text(emptied + "RETAKE_STORE_ENDPOINT=s3.eu-central-1.amazonaws.com\n")
    assert write_env() == (0, "")


def test_no_file_of_the_repository_holds_a_secret():
    names = values_named_in_compose()
    assert not [line for line in names if not line.startswith("${")]


def values_named_in_compose():
    """What stands in the compose files for each variable that names a secret."""
    text = "\n".join(path.read_text() for path in (REPOSITORY / "docker-compose.yml", *(REPOSITORY / "docker").glob("compose.*.yml")))
    found = re.findall(
        r"^\s*\w*(?:PASSWORD|SECRET_KEY|ACCESS_KEY|JWT_SECRET|FERNET_KEY|ACCESS_KEY_ID)\w*: (?:&\S+ )?(.*)$", text, re.MULTILINE
    )
    assert len(found) > 20
    return [value for value in found if not value.startswith("*")]
