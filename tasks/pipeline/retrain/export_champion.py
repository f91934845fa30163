"""Pack the new champion for other machines, and hand the package to MLflow."""

import tempfile
from pathlib import Path

from tasks.errors import NothingToDo
from tasks.pipeline._step import log
from tasks.pipeline.export._package import copy_package, pack
from tasks.pipeline.retrain.contract import EXPORT, ExportChampionArguments
from tasks.settings import MlflowSettings, load
from tasks.store.derived import decision_of_plan
from tasks.store.objects import Store
from tasks.store.records.export import ExportResult
from tasks.store.records.training import PlanResult
from tasks.store.stored import Output
from tasks.tracking import Registry, Tracker


def run(arguments: ExportChampionArguments, store: Store) -> ExportResult:
    """Make the package once, and hand it to MLflow, each time, because an earlier try may have ended between.

    Raises:
        NothingToDo: the version did not become champion, or no package is wanted.
    """
    decided = store.read(decision_of_plan(arguments.plan).decide)
    name = f"{decided.model_name} version {decided.version}"
    if arguments.export == "off" or not decided.promoted:
        raise NothingToDo(
            f"no package of {name}: {'the option export is off' if arguments.export == 'off' else 'it did not become champion'}"
        )
    plan = store.read(Output(arguments.plan, PlanResult))
    settings = load(MlflowSettings)
    registry, tracker = Registry(settings), Tracker(settings)
    result = pack(decided.model_name, registry.version(decided.model_name, decided.version), plan, arguments.asked, store)
    with tempfile.TemporaryDirectory(prefix="retake-package-") as folder:
        copy_package(EXPORT.address(arguments), Path(folder), store)
        tracker.log_artifacts(decided.mlflow_run_id, Path(folder), result.artifact_path)
    registry.set_tags(result.model_name, result.version, {f"retake.package.{result.name}": result.artifacts_url})
    log.info("the package of %s: %s", name, result.artifacts_url)
    return result
