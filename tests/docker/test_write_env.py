"""The secrets of the stack, as the program writes them that `make secrets` and `make up` run."""

import re
import shutil
import stat
import subprocess
import sys

import pytest

from tasks.local.home_folder import REPOSITORY


@pytest.fixture
def write_env(tmp_path):
    """Runs the program on a checkout of its own; returns exit code and output."""
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
    first = values(env)
    secrets = {name: value for name, value in first.items() if name.endswith(("PASSWORD", "KEY", "SECRET", "USER"))}
    assert len(set(secrets.values())) == len(secrets) >= 19
    assert min(map(len, secrets.values())) >= 20
    assert stat.S_IMODE(env.stat().st_mode) == 0o600
    env.unlink()
    write_env()
    second = values(env)
    assert {name for name in first if first[name] == second[name]} == {"RETAKE_DOCKER_GID", "RETAKE_VIDEOS", "COMPOSE_PROFILES"}


def test_what_is_there_stays_and_what_is_missing_is_added(write_env, tmp_path):
    env = tmp_path / ".env"
    env.write_text("# mine\nRETAKE_AIRFLOW_PASSWORD=a-word-of-my-own-choice\nRETAKE_AIRFLOW_PORT=9999")
    env.chmod(0o644)
    code, said = write_env()
    assert code == 0
    assert "RETAKE_MLFLOW_PASSWORD" in said
    assert env.read_text().startswith("# mine\nRETAKE_AIRFLOW_PASSWORD=a-word-of-my-own-choice\nRETAKE_AIRFLOW_PORT=9999\n")
    whole = env.read_text()
    assert write_env() == (0, "")
    assert env.read_text() == whole
    assert stat.S_IMODE(env.stat().st_mode) == 0o600, "others could read it"


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("RETAKE_MLFLOW_PASSWORD=", 78),
        ("RETAKE_MLFLOW_PASSWORD=changeme-changeme-changeme", 78),
        ("RETAKE_MLFLOW_PASSWORD=short", 78),
        ("RETAKE_MLFLOW_PASSWORD=<placeholder of a secret>", 78),
        ("RETAKE_MLFLOW_PASSWORD=has-a-$dollar-in-the-middle", 78),
        ("RETAKE_STORE_STEPS_ACCESS_KEY=AKIAIOSFODNN7QWERTYU", 0),
        ("RETAKE_STORE_STEPS_SECRET_KEY=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", 0),
        ("RETAKE_STORE_SECURE=true", 0),
        ("RETAKE_STORE_SECURE=", 0),
        ("RETAKE_STORE_SECURE=false", 78),
        ("RETAKE_STORE_SECURE=1", 78),
    ],
)
def test_a_value_that_cannot_be_used_stops_the_start_and_is_named(write_env, tmp_path, line, code):
    (tmp_path / ".env").write_text(f"{line}\n")
    ended, said = write_env()
    assert (ended, f"/.env: {line.split('=')[0]} " in said) == (code, code == 78), said


def test_the_environment_wins_as_it_does_in_compose(write_env, monkeypatch):
    monkeypatch.setenv("RETAKE_MLFLOW_PASSWORD", "changeme")
    code, said = write_env()
    assert (code, "RETAKE_MLFLOW_PASSWORD" in said) == (78, True)


def test_no_file_of_the_repository_holds_a_secret():
    files = (REPOSITORY / "docker-compose.yml", *(REPOSITORY / "docker").glob("compose.*.yml"))
    text = "\n".join(path.read_text() for path in files)
    secrets = re.findall(r"\$\{(RETAKE_\w*(?:PASSWORD|KEY|SECRET|ROOT_USER))([^}]*)\}", text)
    assert len(secrets) > 20
    assert {name: default for name, default in secrets if default and not default.startswith(":?")} == {}
    assert re.findall(r"^\s*\w*(?:PASSWORD|SECRET_KEY|ACCESS_KEY|JWT_SECRET|FERNET_KEY)\w*: (?!.*\$\{|\*).*$", text, re.MULTILINE) == []
