"""An MLflow client in memory, below the real `Registry` and `Tracker`."""

import re
import warnings
from collections import defaultdict
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from types import SimpleNamespace

import pytest
from mlflow.entities import LoggedModelStatus
from mlflow.exceptions import RestException
from mlflow.models import Model
from mlflow.store.entities.paged_list import PagedList

from tasks.tracking import registry, runs

URI = "http://mlflow"


def named_by(filter_string):
    """Read the value and, where it is of a tag, the name of each condition of a filter."""
    return re.findall(r"(?:tags\.`(.+?)`|name|source_run_id) = '(.+?)'", filter_string)


def page_of(listed, max_results, page_token):
    first = int(page_token or 0)
    return PagedList(listed[first : first + max_results], str(first + max_results) if len(listed) > first + max_results else None)


class MlflowInMemory:
    """Runs, registered models with their versions, and what was logged; models are saved under `folder`, as MLflow would upload them."""

    def __init__(self, folder=None):
        self.folder, self.numbers = folder, count(1)
        self.models, self.versions, self.runs, self.experiments, self.logged_models = {}, {}, {}, {}, []

    def named(self, run_key):
        """The run of this key, with its artifacts."""
        (run,) = (run for run in self.runs.values() if run.data.tags.get("retake.run_key") == run_key)
        return run

    def get_experiment_by_name(self, name):
        return SimpleNamespace(experiment_id=self.experiments[name], lifecycle_stage="active") if name in self.experiments else None

    def create_experiment(self, name):
        return self.experiments.setdefault(name, str(len(self.experiments) + 1))

    def create_run(self, experiment_id, tags=None, run_name=None):
        run_id = f"{next(self.numbers):032x}"
        info = SimpleNamespace(run_id=run_id, experiment_id=experiment_id, run_name=run_name, status="RUNNING", artifact_uri=run_id)
        data = SimpleNamespace(tags=dict(tags or {}), metrics={}, params={})
        run = SimpleNamespace(info=info, data=data, artifacts={}, history=defaultdict(list))
        self.runs[info.run_id] = run
        return run

    def get_run(self, run_id):
        return self.runs[run_id]

    def search_experiments(self):
        return [SimpleNamespace(experiment_id=number) for number in self.experiments.values()]

    def search_runs(self, experiment_ids, filter_string, run_view_type=1, max_results=1000, page_token=None):
        if not filter_string:
            return PagedList([run for run in self.runs.values() if run.info.experiment_id in experiment_ids], None)
        if filter_string == "attributes.status = 'RUNNING'":
            return [run for run in self.runs.values() if run.info.status == "RUNNING"]
        ((name, value),) = named_by(filter_string)
        matching = [run for run in self.runs.values() if run.info.experiment_id in experiment_ids and run.data.tags.get(name) == value]
        return matching[:max_results]

    def set_tag(self, run_id, key, value):
        self.runs[run_id].data.tags[key] = value

    def delete_tag(self, run_id, key):
        del self.runs[run_id].data.tags[key]

    def delete_run(self, run_id):
        del self.runs[run_id]

    def update_run(self, run_id, status=None, name=None):
        info = self.runs[run_id].info
        info.status, info.run_name = status or info.status, name or info.run_name

    set_terminated = update_run

    def log_batch(self, run_id, metrics=(), params=()):
        run = self.runs[run_id]
        for metric in metrics:
            run.data.metrics[metric.key] = metric.value
            run.history[metric.key].append(metric)
        for param in params:
            assert run.data.params.setdefault(param.key, param.value) == param.value, "MLflow changes no parameter"

    def artifacts_at(self, artifact_uri):
        """What deletes the artifacts of a run."""
        artifacts = self.runs[artifact_uri].artifacts

        def delete(path):
            for name in [name for name in artifacts if f"{name}/".startswith(f"{path}/")]:
                del artifacts[name]

        tops = sorted({name.partition("/")[0] for name in artifacts})
        return SimpleNamespace(list_artifacts=lambda: [SimpleNamespace(path=top) for top in tops], delete_artifacts=delete)

    def get_metric_history(self, run_id, key):
        return self.runs[run_id].history[key]

    def log_inputs(self, run_id, datasets): ...

    def log_artifacts(self, run_id, folder, artifact_path=None):
        files = {path.relative_to(folder).as_posix(): path.read_bytes() for path in Path(folder).rglob("*") if path.is_file()}
        self.runs[run_id].artifacts |= {f"{artifact_path}/{name}" if artifact_path else name: data for name, data in files.items()}

    @contextmanager
    def start_run(self, run_id):
        """Let a model be logged to this run."""
        path = self.folder / run_id

        def save(_, flavour, *, name, metadata, **how):
            flavour.save_model(path=path, mlflow_model=Model(metadata=metadata), **how)

        with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
            warnings.simplefilter("ignore")  # MLflow's own, at its import and of an input example
            patch.setattr(Model, "log", save)
            yield
        model = {"source_run_id": run_id, "model_uri": str(path), "model_id": run_id, "status": LoggedModelStatus.READY}
        self.logged_models.append(SimpleNamespace(**model))

    def search_logged_models(self, experiment_ids, filter_string):
        ((_, run_id),) = named_by(filter_string)
        return [model for model in self.logged_models if model.source_run_id == run_id]

    def create_registered_model(self, name, tags=None):
        self.models[name] = SimpleNamespace(name=name, tags=dict(tags or {}), aliases={})

    def get_registered_model(self, name):
        return self.models[name]

    def search_registered_models(self, filter_string="", max_results=100, page_token=None):
        named = [model for model in self.models.values() if filter_string in ("", f"name = '{model.name}'")]
        return page_of(named, max_results, page_token)

    def set_registered_model_tag(self, name, key, value):
        self.models[name].tags[key] = value

    def create_model_version(self, name, source, run_id, tags, model_id=None, description=""):
        number = len(self.search_model_versions(f"name = '{name}'")) + 1
        version = SimpleNamespace(name=name, version=str(number), source=source, run_id=run_id, tags=dict(tags), description=description)
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

    def search_model_versions(self, filter_string=None, max_results=100, page_token=None):
        if filter_string is None:
            return page_of(list(self.versions.values()), max_results, page_token)
        if filter_string.count("'") % 2:
            raise RestException({"error_code": "INVALID_PARAMETER_VALUE"})
        (_, wanted), *tags = named_by(filter_string)
        named = [version for (name, _), version in self.versions.items() if name == wanted]
        return [version for version in named if all(version.tags.get(key) == value for key, value in tags)][:max_results]

    def set_registered_model_alias(self, name, alias, version):
        self.models[name].aliases[alias] = version

    def delete_registered_model_alias(self, name, alias):
        del self.models[name].aliases[alias]

    def set_model_version_tag(self, name, version, key, value):
        self.versions[name, version].tags[key] = value

    def delete_model_version_tag(self, name, version, key):
        self.versions[name, version].tags.pop(key, None)

    def update_model_version(self, name, version, description):
        self.versions[name, version].description = description


def connected(client, monkeypatch):
    """Let every connection to MLflow lead to this client."""
    monkeypatch.setenv("RETAKE_MLFLOW_URI", URI)
    monkeypatch.setattr(registry, "connect", lambda settings: client)
    monkeypatch.setattr(runs, "connect", lambda settings: client)
    monkeypatch.setattr(runs, "get_artifact_repository", client.artifacts_at)
    monkeypatch.setattr(registry.mlflow, "start_run", client.start_run)
    return client


@pytest.fixture
def mlflow(monkeypatch, tmp_path):
    return connected(MlflowInMemory(tmp_path / "models"), monkeypatch)
