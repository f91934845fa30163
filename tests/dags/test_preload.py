"""Airflow's forks find the code of DAG files imported."""

import os
import sys

import pytest
from airflow.jobs.job import Job

from dags.plugins import preload


@pytest.fixture
def start(monkeypatch, tmp_path):
    """Start a component of Airflow with two DAG files, one broken; return its forks' callbacks."""
    (tmp_path / "some_dags").mkdir()
    for name, text in {"_helper": "", "_unused": "", "broken": "1 / 0", "dag": "import some_dags._helper"}.items():
        (tmp_path / "some_dags" / f"{name}.py").write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(preload, "DAGS", tmp_path / "some_dags")
    monkeypatch.setattr(preload, "PACKAGES", ("some_dags",))

    def start(command):
        at_fork = []
        monkeypatch.setattr(sys, "argv", ["airflow", command])
        monkeypatch.setattr(os, "register_at_fork", lambda after_in_child: at_fork.append(after_in_child))
        preload.on_starting(object.__new__(Job))
        return at_fork

    yield start
    for name in imported():
        del sys.modules[name]


def imported():
    return {name for name in sys.modules if name.startswith("some_dags.")}


@pytest.mark.parametrize("command", ["scheduler", "dag-processor"])
def test_forks_have_what_dag_files_import_until_one_of_the_files_changes(start, tmp_path, command):
    (after_fork,) = start(command)
    after_fork()
    assert imported() == {"some_dags.dag", "some_dags._helper"}
    os.utime(tmp_path / "some_dags" / "_helper.py", (0, 0))
    after_fork()
    assert imported() == set()


def test_other_components_import_none(start):
    assert start("triggerer") == []
    assert imported() == set()
