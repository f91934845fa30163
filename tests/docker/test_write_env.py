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


def test_a_file_that_others_can_read_is_closed_before_secrets_come(write_env, tmp_path):
    env = tmp_path / ".env"
    env.write_text("RETAKE_AIRFLOW_PORT=9999\n")
    env.chmod(0o644)
    write_env()
    assert stat.S_IMODE(env.stat().st_mode) == 0o600


def test_the_environment_wins_as_it_does_in_compose(write_env, monkeypatch):
    monkeypatch.setenv("RETAKE_MLFLOW_PASSWORD", "changeme")
    code, said = write_env()
    assert (code, "RETAKE_MLFLOW_PASSWORD" in said) == (78, True)


@pytest.mark.parametrize(("value", "code"), [("true", 0), ("", 0), ("false", 78), ("1", 78)])
def test_tls_is_asked_for_by_one_word(value, code, write_env, tmp_path):
    (tmp_path / ".env").write_text(f"RETAKE_STORE_SECURE={value}\n")
    assert write_env()[0] == code


def test_keys_of_aws_are_keys(write_env, tmp_path):
    (tmp_path / ".env").write_text(
        "RETAKE_STORE_STEPS_ACCESS_KEY=AKIAIOSFODNN7QWERTYU\nRETAKE_STORE_STEPS_SECRET_KEY=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\n"
    )
    assert write_env()[0] == 0


def test_no_file_of_the_repository_holds_a_secret():
    files = (REPOSITORY / "docker-compose.yml", *(REPOSITORY / "docker").glob("compose.*.yml"))
    text = "\n".join(path.read_text() for path in files)
    found = re.findall(r"\$\{(RETAKE_\w*(?:PASSWORD|KEY|SECRET|ROOT_USER))([^}]*)\}", text)
    assert len(found) > 20
    assert {name: default for name, default in found if default and not default.startswith(":?")} == {}
    assert re.findall(r"^\s*\w*(?:PASSWORD|SECRET_KEY|ACCESS_KEY|JWT_SECRET|FERNET_KEY)\w*: (?!.*\$\{|\*).*$", text, re.MULTILINE) == []
