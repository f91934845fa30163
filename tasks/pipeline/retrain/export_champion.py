"""Pack the new champion, and name the package on its version in MLflow."""

from tasks.errors import NothingToDo
from tasks.pipeline._results import log
from tasks.pipeline.export._package import pack
from tasks.pipeline.retrain.contract import ExportChampionArguments
from tasks.settings import MlflowSettings, load
from tasks.store.derived import decision_of_plan
from tasks.store.objects import Store
from tasks.store.records.export import ExportResult
from tasks.tracking import Registry


def run(arguments: ExportChampionArguments, store: Store) -> ExportResult:
    """Make the package once, and tag the version each time.

    An earlier try may have ended between the two.

    Raises:
        NothingToDo: the version did not become champion, or no package is wanted.
    """
    decided = store.read(decision_of_plan(arguments.plan).decide)
    name = f"{decided.model_name} version {decided.version}"
    if arguments.export == "off":
        raise NothingToDo(f"no package of {name}: the option export is off")
    if not decided.promoted:
        raise NothingToDo(f"no package of {name}: it did not become champion")
    plan = store.read(arguments.planned)
    registry = Registry(load(MlflowSettings))
    result = pack(decided.model_name, registry.version(decided.model_name, decided.version), plan, arguments.asked, store)
    registry.set_tags(result.model_name, result.version, {f"retake.package.{result.name}": result.artifacts_url})
    log.info("the package of %s: %s", name, result.artifacts_url)
    return result
