"""Build, start and stop the stack. Needs only Python and Docker's compose plugin."""

import functools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import taken_ports
import write_env

ROOT = Path(__file__).resolve().parents[1]
WAIT_SECONDS = 600
NUM_LOG_LINES = 20
BUILT_FROM = ("tasks", "dags", "docker", "pyproject.toml", "constraints.txt")


def build() -> int:
    """Complete .env and build the images."""
    return _prepare() or _build()


def up() -> int:
    """Build, start, wait until all is healthy, and print the addresses."""
    if code := _prepare():
        return code
    # Checked before the build, which takes minutes the first time.
    if taken := _taken_ports():
        return _fail("\n".join(taken))
    if code := _build():
        return code
    if _compose(["up", "--detach", "--wait", f"--wait-timeout={WAIT_SECONDS}", "--remove-orphans"]):
        _show_unwell()
        return _fail(
            "the stack is not up; the unhealthy containers are listed above. If a port was taken meanwhile, choose another in .env: "
            f"{', '.join(taken_ports.VARIABLES.values())}. `make up` resumes from here, `make down` stops it"
        )
    _say_where(_variables())
    return 0


def down() -> int:
    """Stop the running steps, then everything else; keep the volumes."""
    if problem := _missing():
        return _fail(problem)
    if not (ROOT / ".env").exists():
        return _fail("there is no .env, so nothing was started from this checkout")
    # Airflow first, so that it starts no further step.
    services = _output(["docker", "compose", "config", "--services"]).split()
    _compose(["stop", "--timeout=10", *(service for service in services if service.startswith("airflow-"))])
    network: str = _configuration()["networks"]["steps"]["name"]
    steps = _output(["docker", "ps", "--all", "--quiet", "--filter=label=retake.command", f"--filter=network={network}"]).split()
    if steps:
        subprocess.run(["docker", "rm", "--force", "--volumes", *steps], check=True, stdout=subprocess.DEVNULL)  # noqa: S603, S607 - fixed program
        sys.stdout.write(f"ended {len(steps)} step{'s' if len(steps) > 1 else ''}; the next `make up` runs them again\n")
    return _compose(["down", "--remove-orphans"])


def _prepare() -> int:
    """Check Docker, complete .env and create the folder of videos; return an exit code."""
    if problem := _missing() or _left_by_another():
        return _fail(problem)
    if code := write_env.main():
        return code
    videos = _videos()
    if not videos.is_absolute():
        return _fail(f"RETAKE_VIDEOS, {videos}, is not a whole path, and Docker mounts no other. Write one that begins with /")
    try:
        videos.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        return _fail(f"RETAKE_VIDEOS, {videos}, cannot be made ({error.strerror}). Name a folder of yours")
    return 0


def _videos() -> Path:
    """Locate the folder of videos by Compose, which fills in variables of .env."""
    return Path(_configuration()["volumes"]["videos"]["driver_opts"]["device"])


def _build() -> int:
    # Under a strict umask, the user of the container could not read the mounted file.
    (ROOT / "docker" / "postgres" / "databases.sql").chmod(0o644)
    return _compose(["build"])


def _taken_ports() -> list[str]:
    """Describe each port that another program holds, and the remedy."""
    running = map(json.loads, _output(["docker", "compose", "ps", "--format=json"]).splitlines())
    own = {published["PublishedPort"] for container in running for published in container["Publishers"] or []}
    return taken_ports.problems(taken_ports.published(_configuration()), own, _container_at)


def _container_at(number: int) -> str:
    """Name the container that publishes a port, or return an empty string."""
    return _output(["docker", "ps", f"--filter=publish={number}", "--format={{.Names}}"]).partition("\n")[0]


def _compose(arguments: Sequence[str]) -> int:
    return subprocess.run(["docker", "compose", *arguments], cwd=ROOT, env=_environment(), check=False).returncode  # noqa: S603, S607 - fixed program


@functools.cache
def _configuration() -> dict[str, Any]:
    configuration: dict[str, Any] = json.loads(_output(["docker", "compose", "config", "--format=json"]))
    return configuration


def _output(command: Sequence[str]) -> str:
    return subprocess.run(command, cwd=ROOT, env=_environment(), check=True, capture_output=True, text=True).stdout  # noqa: S603 - fixed programs


def _environment() -> dict[str, str]:
    """Make Compose's environment, with the git revision, without the profile of an unused store."""
    revision = os.environ.get("RETAKE_REVISION") or _revision()
    profiles = {"COMPOSE_PROFILES": ""} if write_env.has_other_store(_variables()) else {}
    return {**os.environ, **profiles, "RETAKE_REVISION": revision, "PWD": str(ROOT)}


def _variables() -> dict[str, str]:
    """Merge .env and the environment, which overrides it, as Compose does."""
    return {**write_env.read(ROOT / ".env"), **os.environ}


def _revision() -> str:
    def git(*arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603, S607 - fixed program

    try:
        head, changed = git("rev-parse", "HEAD"), git("status", "--porcelain", "--", *BUILT_FROM)
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return f"{head}-dirty" if changed else head


def _missing() -> str | None:
    """Describe a missing prerequisite and its remedy; None if there is none."""
    for command, remedy in (
        (["docker", "compose", "version"], "install Docker Engine with its compose plugin; `make run` needs neither"),
        (["docker", "info"], "start Docker Engine, or join the group that has access to it"),
    ):
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - fixed programs
        except OSError:
            return f"{command[0]} is not installed: {remedy}"
        if done.returncode:
            return f"`{' '.join(command)}` fails ({done.stderr.strip().splitlines()[-1] if done.stderr.strip() else 'no reason given'}): {remedy}"
    return None


def _left_by_another() -> str | None:
    """Describe volumes of an earlier stack whose passwords this checkout, without .env, does not have."""
    project = os.environ.get("COMPOSE_PROJECT_NAME", "retake")
    volume = f"{project}_postgres"
    inspected = subprocess.run(["docker", "volume", "inspect", volume], capture_output=True, check=False)  # noqa: S603, S607 - fixed program
    if (ROOT / ".env").exists() or inspected.returncode:
        return None
    return (
        f"there is no .env here, but the volume {volume} of an earlier stack: copy the .env of its checkout here, or run a second stack "
        "beside it with COMPOSE_PROJECT_NAME and RETAKE_IMAGE_TAG of its own, or remove its volumes and all their data "
        f"(`docker volume ls --filter name={project}_`)"
    )


def _show_unwell() -> None:
    """Print the unhealthy containers, with the end of the logs of failed ones."""
    listed = list(map(json.loads, _output(["docker", "compose", "ps", "--all", "--format=json"]).splitlines()))
    failed = [
        c
        for c in listed
        if c["Health"] == "unhealthy" or (c["State"] == "exited" and c["ExitCode"]) or c["State"] in ("restarting", "dead")
    ]
    for container in failed:
        sys.stderr.write(f"== {container['Service']}: {container['Status']}\n")
        sys.stderr.flush()
        _compose(["logs", f"--tail={NUM_LOG_LINES}", "--no-log-prefix", container["Service"]])
    waiting = [c["Service"] for c in listed if c not in failed and (c["State"] == "created" or c["Health"] == "starting")]
    if waiting:
        sys.stderr.write(f"== not healthy yet, or waiting for another: {', '.join(waiting)}\n")


def _say_where(variables: dict[str, str]) -> None:
    host = {"": "localhost", "0.0.0.0": "localhost", "127.0.0.1": "localhost"}  # noqa: S104 - a value of .env
    bound = variables.get("RETAKE_BIND", "")

    def address(name: str, port: int) -> str:
        return f"http://{host.get(bound, bound)}:{variables.get(name) or port}"

    sys.stdout.write(
        f"Airflow       {address('RETAKE_AIRFLOW_PORT', 8080)}  user admin, password RETAKE_AIRFLOW_PASSWORD in .env\n"
        f"MLflow        {address('RETAKE_MLFLOW_PORT', 5000)}/#/experiments?workflowType=machine_learning  user admin, password RETAKE_MLFLOW_PASSWORD in .env\n"
    )
    if not write_env.has_other_store(variables):
        sys.stdout.write(
            f"object store  {address('RETAKE_STORE_PORT', 9000)}  keys RETAKE_STORE_STEPS_ACCESS_KEY and …_SECRET_KEY in .env\n"
        )
    sys.stdout.write(
        f"Steps see the folder {_videos()} as /videos: put videos there and name /videos in the form of ingest_videos,\n"
        "or ingest any folder: make ingest VIDEOS=DIR\n"
    )


def _fail(problem: str) -> int:
    sys.stderr.write(f"{problem}\n")
    return 1


if __name__ == "__main__":
    try:
        sys.exit({"build": build, "up": up, "down": down}[sys.argv[1]]())
    except subprocess.CalledProcessError as failed:
        sys.exit(f"`{' '.join(failed.cmd)}` fails: {(failed.stderr or 'see above').strip()}")
