"""The logic of the pages' scripts, in Node's own test runner."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

LIMIT_SECONDS = 300


@pytest.mark.parametrize(
    "page", [pytest.param("home", marks=pytest.mark.slow), pytest.param("label", marks=pytest.mark.slow), "trigger_form"]
)
def test_scripts(page):
    """Fail with the output of Node; without Node, skip the test, or fail in CI."""
    node = shutil.which("node")
    if node is None:
        reason = "no Node.js is installed (Debian: nodejs)"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}, and CI requires it")
        pytest.skip(reason)
    folder = Path(__file__).parent / page / "node"
    files = sorted(folder.glob("*.test.mjs"))
    assert files, f"{folder} has no *.test.mjs"
    command = [node, "--test", "--test-reporter=spec", *files]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False)
    if ended.returncode:
        pytest.fail(ended.stdout + ended.stderr, pytrace=False)
