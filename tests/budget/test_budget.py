"""The cost of a test is counted, in its child processes too, and a run over the budget fails."""

import os
import subprocess
import sys

import pytest

from tasks.local.home_folder import REPOSITORY
from tests.budget.plugin import every_process

TEST = """
import subprocess, sys

def test_that_starts_a_server_from_a_child_process():
    subprocess.run([sys.executable, "-c", "import subprocess; subprocess.run(['{program}', '{argument}'], check=True)"], check=True)
"""


@pytest.mark.parametrize(
    ("argv", "kind"),
    [
        (["/venv/bin/python", "-m", "tasks", "train", "--store=s3://retake"], "step_processes"),
        (["/home/servers/python", "-m", "tasks", "evaluate"], "step_processes"),
        (["/venv/bin/python", "-m", "tasks.local", "run"], None),
        (["/venv/bin/python", "-m", "tests.integration.run_dags", "{}"], "dag_tests"),
        (["/venv/bin/weed", "mini", "-dir=x"], "servers"),
        (["/venv/bin/python", "-m", "mlflow", "server", "--port=1"], "servers"),
        (["/venv/bin/python", "-P", "-m", "mlflow", "models", "serve", "-m", "models:/m/1"], "servers"),
        (["/venv/bin/python", "-m", "tasks.local.airflow_process", "/venv/bin/airflow"], "servers"),
        (["/venv/bin/python", "-m", "tasks.local.mlflow_process", "--port=1"], "servers"),
        (["/venv/bin/airflow", "db", "migrate"], None),
        (["docker", "compose", "--file=x", "up", "--wait"], "servers"),
        (["docker", "compose", "down"], None),
        (["ffmpeg", "-m"], None),
    ],
)
def test_a_command_is_classified_by_its_program(argv, kind):
    assert every_process().kind_of(argv) == kind


@pytest.mark.slow
@pytest.mark.parametrize(("argument", "code"), [("mini", 1), ("version", 0)])
def test_a_run_that_exceeds_the_budget_fails_and_says_so(tmp_path, argument, code):
    program = tmp_path / "weed"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o700)
    (tmp_path / "test_it.py").write_text(TEST.format(program=program, argument=argument))
    (tmp_path / "pytest.ini").write_text("[pytest]")
    command = [sys.executable, "-m", "pytest", "-p", "tests.budget.plugin", "--tier=fast", "-c", tmp_path / "pytest.ini", tmp_path]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TEST_EVENTS"))}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == code, done.stdout + done.stderr
    assert ("the tests did 1 servers, and the budget of tier fast is 0" in done.stdout) == bool(code)
