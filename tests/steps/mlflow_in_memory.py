"""An MLflow client in memory, below the real `Registry` and `Tracker`."""

import re
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow.exceptions import RestException

from tasks.tracking import registry, runs

URI = "http://mlflow"


class MlflowInMemory:
    """Runs, registered models with their versions, and what was logged."""

    def __init__(self):
        self.models, self.versions, self.runs, self.experiments = {}, {}, {}, {}
        self.artifacts = defaultdict(set)

    def get_experiment_by_name(self, name):
        return SimpleNamespace(experiment_id=self.experiments[name]) if name in self.experiments else None

    def create_experiment(self, name):
        return self.experiments.setdefault(name, str(len(self.experiments) + 1))

    def create_run(self, experiment_id, tags=None, run_name=None):
        info = SimpleNamespace(run_id=f"{len(self.runs) + 1:032x}", experiment_id=experiment_id, run_name=run_name, status="RUNNING")
        run = SimpleNamespace(info=info, data=SimpleNamespace(tags=dict(tags or {}), metrics={}, params={}))
        self.runs[info.run_id] = run
        return run

    def get_run(self, run_id):
        return self.runs[run_id]

    def search_runs(self, experiment_ids, filter_string, max_results):
        name, value = re.fullmatch(r"tags\.`(.+)` = '(.+)'", filter_string).groups()
        matching = [run for run in self.runs.values() if run.info.experiment_id in experiment_ids and run.data.tags.get(name) == value]
        return matching[:max_results]

    def set_tag(self, run_id, key, value):
        self.runs[run_id].data.tags[key] = value

    def update_run(self, run_id, status):
        self.runs[run_id].info.status = status

    set_terminated = update_run

    def log_batch(self, run_id, metrics=(), params=()):
        self.runs[run_id].data.metrics.update({metric.key: metric.value for metric in metrics})
        self.runs[run_id].data.params.update({param.key: param.value for param in params})

    def log_artifacts(self, run_id, folder, artifact_path=None):
        files = (path.relative_to(folder).as_posix() for path in Path(folder).rglob("*") if path.is_file())
        self.artifacts[run_id] |= {f"{artifact_path}/{file}" if artifact_path else file for file in files}

    def create_registered_model(self, name, tags=None):
        self.models[name] = SimpleNamespace(name=name, tags=dict(tags or {}), aliases={})

    def get_registered_model(self, name):
        return self.models[name]

    def search_registered_models(self, filter_string="", max_results=100):
        return [model for model in self.models.values() if filter_string in ("", f"name = '{model.name}'")][:max_results]

    def set_registered_model_tag(self, name, key, value):
        self.models[name].tags[key] = value

    def create_model_version(self, name, source, run_id, tags):
        number = len(self.search_model_versions(f"name = '{name}'")) + 1
        version = SimpleNamespace(name=name, version=str(number), source=source, run_id=run_id, tags=dict(tags), description="")
        self.versions[name, str(number)] = version
        return version

    def get_model_version(self, name, version):
        if (name, version) not in self.versions:
            raise RestException({"error_code": "RESOURCE_DOES_NOT_EXIST"})
        made = self.versions[name, version]
        made.aliases = [alias for alias, number in self.models[name].aliases.items() if number == version]
        return made

    def get_model_version_by_alias(self, name, alias):
        if alias not in self.models[name].aliases:
            raise RestException({"error_code": "INVALID_PARAMETER_VALUE"})
        return self.get_model_version(name, self.models[name].aliases[alias])

    def search_model_versions(self, filter_string):
        return [version for (name, _), version in self.versions.items() if filter_string == f"name = '{name}'"]

    def set_registered_model_alias(self, name, alias, version):
        self.models[name].aliases[alias] = version

    def delete_registered_model_alias(self, name, alias):
        del self.models[name].aliases[alias]

    def set_model_version_tag(self, name, version, key, value):
        self.versions[name, version].tags[key] = value

    def update_model_version(self, name, version, description):
        self.versions[name, version].description = description


def connected(client, monkeypatch):
    """Let every connection to MLflow lead to this client."""
    monkeypatch.setenv("RETAKE_MLFLOW_URI", URI)
    monkeypatch.setattr(registry, "connect", lambda settings: client)
    monkeypatch.setattr(runs, "connect", lambda settings: client)
    return client


@pytest.fixture
def mlflow(monkeypatch):
    return connected(MlflowInMemory(), monkeypatch)
