"""The set-up of Airflow in its container, with a stand-in that notes its calls."""

import json
import os
import subprocess
import sys

from tasks.local.home_folder import REPOSITORY

AIRFLOW = """
import json, os, sys
from pathlib import Path
def main():
    with open(os.environ["CALLS"], "a") as file:
        file.write(json.dumps([sys.argv[1:], Path("/proc/self/cmdline").read_text()]) + "\\n")
"""


def test_the_first_user_gets_the_password_and_no_command_line_shows_it(tmp_path):
    (tmp_path / "airflow").mkdir()
    (tmp_path / "airflow" / "__init__.py").touch()
    (tmp_path / "airflow" / "__main__.py").write_text(AIRFLOW)
    program, calls = tmp_path / "bin" / "airflow", tmp_path / "calls"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom airflow.__main__ import main\nmain()\n")
    program.chmod(0o755)
    environment = {"PYTHONPATH": str(tmp_path), "PATH": f"{program.parent}:{os.environ['PATH']}", "CALLS": str(calls)}
    secrets = {"RETAKE_AIRFLOW_PASSWORD": "tell-no-one", "RETAKE_GPU_SLOTS": "1"}
    set_up = [sys.executable, REPOSITORY / "docker" / "airflow" / "set_up_airflow.py"]
    assert subprocess.run(set_up, env=environment | secrets).returncode == 0
    arguments, shown = zip(*map(json.loads, calls.read_text().splitlines()), strict=True)
    assert ["users", "create"] in [call[:2] for call in arguments if "--password=tell-no-one" in call]
    assert not [line for line in shown if "tell-no-one" in line]
