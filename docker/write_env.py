"""Complete .env with secrets and new variables, and reject placeholders. Needs only Python."""

import base64
import os
import re
import secrets
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SOCKET = Path(os.environ.get("RETAKE_DOCKER_SOCKET", "/var/run/docker.sock"))
OWN_STORE = "minio:9000"
MIN_SECRET_LENGTH = 16
# Safe without quotes in .env, in URLs and in MLflow's INI file; store keys are only in .env.
LETTERS = re.compile(r"[A-Za-z0-9_.~=-]+")
STORE_LETTERS = re.compile(r"[A-Za-z0-9_.~=/+-]+")
REMEDY = "Delete the line to get a random one; after the first start, restore the value that the server was created with"
PLACEHOLDERS = ("change", "example", "password", "placeholder", "secret")
HEAD = """\
# Secrets and settings of the stack, written once and never overwritten. Keep it out of git and of backups that others can read.
# A database keeps the password that it was created with: to change one, change it there, too. docs/containers.md describes the other variables.
"""


_word = partial(secrets.token_hex, 10)
_password = partial(secrets.token_urlsafe, 24)
_long = partial(secrets.token_urlsafe, 48)

SECRETS: dict[str, Callable[[], str]] = {
    "RETAKE_AIRFLOW_PASSWORD": _password,
    "RETAKE_AIRFLOW_FERNET_KEY": lambda: base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
    "RETAKE_AIRFLOW_JWT_SECRET": _long,
    "RETAKE_AIRFLOW_SECRET_KEY": _long,
    "RETAKE_AIRFLOW_DB_PASSWORD": _password,
    "RETAKE_MLFLOW_PASSWORD": _password,
    "RETAKE_MLFLOW_STEPS_PASSWORD": _password,
    "RETAKE_MLFLOW_SECRET_KEY": _long,
    "RETAKE_MLFLOW_DB_PASSWORD": _password,
    "RETAKE_POSTGRES_PASSWORD": _password,
    "RETAKE_REDIS_PASSWORD": _password,
    "RETAKE_STORE_ROOT_USER": _word,
    "RETAKE_STORE_ROOT_PASSWORD": _password,
    "RETAKE_STORE_STEPS_ACCESS_KEY": _word,
    "RETAKE_STORE_STEPS_SECRET_KEY": _password,
    "RETAKE_STORE_LABEL_ACCESS_KEY": _word,
    "RETAKE_STORE_LABEL_SECRET_KEY": _password,
    "RETAKE_STORE_MLFLOW_ACCESS_KEY": _word,
    "RETAKE_STORE_MLFLOW_SECRET_KEY": _password,
    "RETAKE_STORE_LOGS_ACCESS_KEY": _word,
    "RETAKE_STORE_LOGS_SECRET_KEY": _password,
}

SETTINGS: dict[str, Callable[[], str]] = {
    # The group of the engine's socket: the proxy joins it instead of running as root.
    "RETAKE_DOCKER_GID": lambda: str(SOCKET.stat().st_gid if SOCKET.exists() else 0),
    # The folder of videos that steps see as /videos.
    "RETAKE_VIDEOS": lambda: str(ROOT / "videos"),
    # For plain `docker compose`, which starts no object store without it; `make up` goes by RETAKE_STORE_ENDPOINT.
    "COMPOSE_PROFILES": lambda: "minio",
}


def read(path: Path) -> dict[str, str]:
    """Read the variables of an .env file, NAME=value on each line."""
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.lstrip().startswith("#"))
    return {name.strip(): value.strip().strip("'\"") for name, value in pairs}


def complete(path: Path) -> list[str]:
    """Add missing variables to `path` and return their names; existing ones are kept."""
    present = read(path)
    missing = {name: make() for name, make in {**SECRETS, **SETTINGS}.items() if name not in present}
    if missing:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "a", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            text = path.read_text(encoding="utf-8")
            file.write(HEAD if not text else "" if text.endswith("\n") else "\n")
            file.writelines(f"{name}={value}\n" for name, value in missing.items())
    return list(missing)


def has_other_store(variables: Mapping[str, str]) -> bool:
    """Tell whether the object store is another than the stack's own."""
    return variables.get("RETAKE_STORE_ENDPOINT", "") not in ("", OWN_STORE)


def problems(variables: Mapping[str, str]) -> list[str]:
    """Check secrets and related variables; each line names a problem and its remedy."""
    lines = []
    for name in SECRETS:
        value = variables[name]
        letters = STORE_LETTERS if name.startswith("RETAKE_STORE_") else LETTERS
        if len(value) < MIN_SECRET_LENGTH or any(word in value.lower() for word in PLACEHOLDERS):
            what = "it is empty" if not value else "too short, or a placeholder"
            lines.append(f"{name} is not a secret: {what}. {REMEDY}")
        elif not letters.fullmatch(value):
            lines.append(f"{name} has a character with a special meaning in URLs or files. {REMEDY}")
    if variables.get("RETAKE_STORE_SECURE", "") not in ("", "true"):
        lines.append("RETAKE_STORE_SECURE is neither true nor empty. Delete the line if the store does not use TLS")
    return lines


def main() -> int:
    """Write or complete .env and return the exit code."""
    path = ROOT / ".env"
    existed = path.exists()
    added = complete(path)
    if added:
        sys.stdout.write(f"added to {path}: {', '.join(added)}\n" if existed else f"wrote {path} with random secrets\n")
    # As in Compose, the environment wins.
    variables = {**read(path), **os.environ}
    if lines := problems(variables):
        sys.stderr.writelines(f"{path}: {line}\n" for line in lines)
        return 78
    return 0


if __name__ == "__main__":
    sys.exit(main())
