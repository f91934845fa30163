"""Reasons for which `make up` does not start, with a Docker that only answers and takes notes."""

import json
import os
import re
import runpy
import shutil
import socket
import subprocess
import sys

import pytest
import yaml

from tasks.local.home_folder import REPOSITORY

DOCKER = """#!{python}
import sys
from pathlib import Path

here, asked = Path(__file__).parent, " ".join(sys.argv[1:])
with (here / "asked").open("a") as log:
    log.write(asked + "\\n")
answers = {{"compose config": "config.json", "compose ps": "ps.json", "ps --filter": "container"}}
if asked.startswith("compose config") and (here / "refusal").exists():
    sys.exit((here / "refusal").read_text())
name = next((file for start, file in answers.items() if asked.startswith(start)), None)
if name:
    sys.stdout.write((here / name).read_text())
sys.exit(asked.startswith("volume inspect") and not (here / asked.split()[-1]).exists())
"""


@pytest.fixture
def listener():
    """A port of loopback that this process listens at."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


@pytest.fixture
def make_up(tmp_path):
    """Runs `make up` of a checkout; returns exit code, output, and the requests to Docker."""
    (tmp_path / "docker" / "postgres").mkdir(parents=True)
    for name in ("stack.py", "taken_ports.py", "write_env.py", "postgres/databases.sql"):
        shutil.copy(REPOSITORY / "docker" / name, tmp_path / "docker" / name)
    bin_folder = tmp_path / "bin"
    bin_folder.mkdir()
    (bin_folder / "docker").write_text(DOCKER.format(python=sys.executable))
    (bin_folder / "docker").chmod(0o755)

    def run(ports, running=(), container="", volume=None, videos=str(tmp_path / "videos")):
        if volume:
            (bin_folder / volume).touch()
        published = {name: [{"host_ip": "127.0.0.1", "published": str(port), "target": 1}] for name, port in ports.items()}
        services = {name: {"ports": published[name]} if port else {} for name, port in ports.items()}
        volumes = {"videos": {"driver_opts": {"device": videos}}}
        (bin_folder / "config.json").write_text(json.dumps({"services": services, "volumes": volumes}))
        (bin_folder / "ps.json").write_text(json.dumps({"Publishers": [{"PublishedPort": port} for port in running] or None}))
        (bin_folder / "container").write_text(container)
        # The budget counts no start by a Docker that starts nothing.
        environment = {**os.environ, "PATH": f"{bin_folder}:{os.environ['PATH']}", "RETAKE_REVISION": "r", "TEST_EVENTS_FILE": ""}
        done = subprocess.run([sys.executable, tmp_path / "docker" / "stack.py", "up"], capture_output=True, text=True, env=environment)
        return done.returncode, done.stderr or done.stdout, (bin_folder / "asked").read_text().splitlines()

    return run


def test_a_port_that_is_taken_is_named_with_its_variable_and_its_holder_before_anything_is_built(make_up, listener, free_port):
    code, said, asked = make_up({"airflow-api": free_port, "mlflow": listener, "postgres": None})
    (line,) = said.splitlines()
    assert code == 1
    assert f"port {listener}, which mlflow needs, is taken by" in line
    assert f"(process {os.getpid()})" in line
    chosen = re.search(r"set RETAKE_MLFLOW_PORT=(\d+) in \.env", line)
    assert chosen
    socket.create_server(("127.0.0.1", int(chosen[1]))).close()
    assert int(chosen[1]) not in (listener, free_port)
    assert "compose build" not in asked


def test_each_of_two_taken_ports_gets_a_free_one_of_its_own_which_exists():
    ports = runpy.run_path(str(REPOSITORY / "docker" / "taken_ports.py"))
    ports["problems"].__globals__["is_taken"] = lambda host, number: number in (1024, 65534, 65535)
    wanted = [ports["Port"]("mlflow", "127.0.0.1", number) for number in (65534, 65535)]
    said = ports["problems"](wanted, (), lambda number: "other")
    assert [re.search(r"=(\d+) in", line)[1] for line in said] == ["1025", "1026"]


def test_a_container_that_holds_a_port_is_named(make_up, listener):
    _, said, _ = make_up({"airflow-api": listener}, container="other-airflow-api-1\n")
    assert "is taken by the container other-airflow-api-1. End it, or set RETAKE_AIRFLOW_PORT=" in said


def test_free_ports_and_those_that_the_stack_itself_holds_let_it_start(make_up, listener, free_port):
    code, said, asked = make_up({"minio": listener, "mlflow": free_port}, running=[listener])
    assert (code, "compose build" in asked) == (0, True)
    assert re.search(r"^MLflow +http://\S+/#/experiments\?workflowType=machine_learning  user admin", said, re.MULTILINE)
    assert asked.count("compose config --format=json") == 1


@pytest.mark.parametrize(
    ("env", "given", "ended", "problem"),
    [
        (None, {"volume": "retake_postgres"}, 1, "volume retake_postgres of an earlier stack"),
        ("RETAKE_AIRFLOW_JWT_SECRET=\n", {}, 78, "RETAKE_AIRFLOW_JWT_SECRET is not a secret: it is empty"),
        (None, {"videos": "films"}, 1, "RETAKE_VIDEOS, films, is not a whole path"),
        (None, {"videos": "/dev/null/films"}, 1, "RETAKE_VIDEOS, /dev/null/films, cannot be made"),
    ],
    ids=["earlier stack, no secrets", "secret missing", "videos at no whole path", "videos at no folder"],
)
def test_nothing_is_built_where_the_stack_could_not_start(make_up, tmp_path, env, given, ended, problem):
    if env:
        (tmp_path / ".env").write_text(env)
    code, said, asked = make_up({}, **given)
    assert (code, problem in said, "compose build" in asked) == (ended, True, False), said
    assert "volume" not in given or not (tmp_path / ".env").exists()


def test_the_folder_of_videos_is_made_where_compose_reads_it(make_up, tmp_path):
    (tmp_path / ".env").write_text("BASE=/dev/null\nRETAKE_VIDEOS=$BASE/films\n")
    _, _, asked = make_up({}, videos=str(tmp_path / "films"))
    assert "compose build" in asked
    assert (tmp_path / "films").is_dir()


def test_settings_that_compose_refuses_are_told_in_its_words(make_up, tmp_path):
    (tmp_path / "bin" / "refusal").write_text("invalid hostPort: 80a80")
    code, said, asked = make_up({})
    assert (code, said) == (1, "`docker compose config --format=json` fails: invalid hostPort: 80a80\n")
    assert "compose build" not in asked


def test_every_port_that_the_stack_publishes_has_its_variable():
    variables = {}
    for path in (REPOSITORY / "docker-compose.yml", REPOSITORY / "docker" / "compose.celery.yml"):
        for name, service in yaml.safe_load(path.read_text())["services"].items():
            for port in service.get("ports", []):
                variables[name] = re.search(r"\$\{(RETAKE_\w+_PORT):-\d+\}", port)[1]
    assert variables == runpy.run_path(str(REPOSITORY / "docker" / "taken_ports.py"))["VARIABLES"]
