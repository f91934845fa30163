"""An Airflow home of its own, and steps played by small scripts under the real runner."""

import os
import sys
import tempfile
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

# Airflow reads these when it is first imported, which is before any fixture runs.
_home = tempfile.TemporaryDirectory(prefix="retake-airflow-")
os.environ.setdefault("AIRFLOW_HOME", _home.name)
os.environ["AIRFLOW__CORE__LOAD_EXAMPLES"] = "False"
os.environ["AIRFLOW__API__BASE_URL"] = "http://airflow.test:8080/"


def pytest_unconfigure():
    _home.cleanup()


@pytest.fixture
def context():
    """Makes the part of a task's context that the DAGs use."""

    def make(params, *events, run_id="manual__2026-11-25T10:00:00+00:00"):
        start = datetime(2026, 11, 25, tzinfo=UTC)
        happened = [SimpleNamespace(extra=extra, timestamp=start + timedelta(minutes=n)) for n, extra in enumerate(events)]
        pushed = {}
        return {
            "params": params,
            "run_id": run_id,
            "triggering_asset_events": {"asset": happened} if events else {},
            "outlet_events": defaultdict(SimpleNamespace),
            "dag_run": SimpleNamespace(dag_id="some_dag", run_id=run_id),
            "ti": SimpleNamespace(xcom_push=pushed.__setitem__, pushed=pushed),
        }

    return make


@pytest.fixture
def play(tmp_path, monkeypatch):
    """Makes steps run a Python script, which sees the step's arguments as sys.argv[3:]."""

    def use(body):
        script = tmp_path / "python"
        script.write_text(f"#!{sys.executable}\nimport json, os, signal, subprocess, sys\n{body}\n")
        script.chmod(0o755)
        monkeypatch.setenv("RETAKE_PYTHON", str(script))
        return Path(script)

    return use
