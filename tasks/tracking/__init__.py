"""Access MLflow: runs with metrics and artifacts, and the model registry. The only package that imports `mlflow`.

Other rooms import the names of this file.
"""

import os

# MLflow's default of seven retries takes minutes, and the runner retries whole steps. Set before mlflow is imported, which reads them.
os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "3")
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

from tasks.tracking.experiments import (
    comparison_run,
    end_all,
    end_left_behind,
    end_trainings,
    prediction_run,
    run_title,
    search_run,
    tracked_run,
)
from tasks.tracking.flavours import FilmModel, TensorModel
from tasks.tracking.registry import CHALLENGER, CHAMPION, PROVISIONAL_TAG, Reference, RegisteredVersion, Registry, VersionCard
from tasks.tracking.runs import ChildRun, Tracker

__all__ = [
    "CHALLENGER",
    "CHAMPION",
    "PROVISIONAL_TAG",
    "ChildRun",
    "FilmModel",
    "Reference",
    "RegisteredVersion",
    "Registry",
    "TensorModel",
    "Tracker",
    "VersionCard",
    "comparison_run",
    "end_all",
    "end_left_behind",
    "end_trainings",
    "prediction_run",
    "run_title",
    "search_run",
    "tracked_run",
]
