"""Run tests of a page's JavaScript with Node's own runner."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

LIMIT_SECONDS = 300


def run_node_tests(folder: Path) -> None:
    """Run the `*.test.mjs` of a folder and fail with their output; without Node, skip the test, or fail in CI."""
    node = shutil.which("node")
    if node is None:
        reason = "no Node.js is installed (Debian: nodejs)"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}, and CI requires it")
        pytest.skip(reason)
    files = sorted(folder.glob("*.test.mjs"))
    assert files, f"{folder} has no *.test.mjs"
    ended = subprocess.run(
        [node, "--test", "--test-reporter=spec", *files], capture_output=True, text=True, timeout=LIMIT_SECONDS, check=False
    )
    if ended.returncode:
        pytest.fail(ended.stdout + ended.stderr, pytrace=False)
