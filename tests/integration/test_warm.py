"""Holds that forked steps are processes like others, so that tests may use them in place of those."""

import re
import subprocess
import sys
import time

import httpx
import pytest

from tasks.local.home import REPOSITORY
from tests.integration.warm import WarmPython

pytestmark = pytest.mark.integration

PATIENCE_SECONDS = 60


@pytest.fixture(scope="module")
def python(tmp_path_factory):
    warm = WarmPython(tmp_path_factory.mktemp("a folder") / "python")
    with warm.served(["tasks.steps.build_dataset.label"]):
        yield warm.program


def test_output_and_exit_code_are_those_of_a_process(python):
    def ends(program):
        command = [program, "-m", "tasks", "label", "--store=s3://xyz", "--out=s3://xyz/"]
        done = subprocess.run(command, cwd=REPOSITORY, env={}, capture_output=True, timeout=PATIENCE_SECONDS)
        return done.returncode, done.stdout, done.stderr

    assert ends(python) == ends(sys.executable)
    code, _, said = ends(python)
    assert (code, b"RETAKE_STORE_ENDPOINT" in said) == (78, True)


def test_a_step_ends_with_whoever_asked_for_it(python):
    command = [python, "-m", "http.server", "0", "--bind=127.0.0.1"]
    with subprocess.Popen(command, env={}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as asking:
        try:
            address = re.search(r"http://\S+/", asking.stdout.readline().decode()).group()
            assert httpx.get(address).is_success
        finally:
            asking.kill()
    deadline = time.monotonic() + PATIENCE_SECONDS
    with pytest.raises(httpx.ConnectError):
        while time.monotonic() < deadline:
            httpx.get(address)
