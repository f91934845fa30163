"""Put the compared networks into one table: page, CSV, JSON, and an MLflow run."""

from collections.abc import Sequence

from tasks.errors import BadInput, MissingObject, NothingToDo
from tasks.judge.statistics.answers import from_parquet
from tasks.keys import content_key
from tasks.pipeline._comparison_table import Tested, comparison_of, publish
from tasks.pipeline._results import Failure, earlier_result, finish, log, parse_failures
from tasks.pipeline.compare_networks.contract import TABULATE, TabulateArguments
from tasks.settings import MlflowSettings, load
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.records.comparison import Configuration, ConfigureResult, FailedConfiguration, TabulateResult
from tasks.store.run_layout import Claims, Configurations, Configured, Run, Scores
from tasks.tracking import Tracker, end_trainings

NO_REASON = "it left no result; the log of its first failed task says why"


def run(arguments: TabulateArguments, store: Store) -> TabulateResult:
    """Write the comparison of the tested networks, and name the failed ones with their reasons.

    Raises:
        BadInput: every configuration failed.
        NothingToDo: none was to be trained.
    """
    output = TABULATE.address(arguments)
    configured = store.read(Configurations(arguments.configured))
    tested, failed = _gather(store, configured, parse_failures(arguments.failures))
    tracker = Tracker(load(MlflowSettings))
    end_trainings(tracker, {network.trained.mlflow_run_id for network in tested})
    if not tested and {failure.step for failure in failed} == {"ask"}:
        raise NothingToDo("no network was to be trained")
    if not tested:
        raise BadInput(f"every configuration failed: {'; '.join(f'{failure.name}: {failure.reason}' for failure in failed)}")
    # Equal networks and failures have the same key, so that links to the page stay valid.
    key = content_key(
        {
            "results": [network.plan.evaluations[0].out for network in tested],
            "names": [configuration.name for configuration in configured.configurations],
            "failed": [failure.model_dump() for failure in failed],
        }
    )
    place = Layout(arguments.store).comparison_table(tested[0].plan.dataset_digest, key)
    if earlier := earlier_result(store, place):
        log.info("%s", earlier.verdict)
        return finish(store, output, earlier)
    first = tested[0]
    reference = first if first.name == configured.configurations[0].name else None
    comparison = comparison_of(tested, store.read(Dataset(first.plan.dataset_uri).manifest).vocabulary, reference, failed)
    result = publish(store, arguments.store, place, key, comparison, tested)
    return finish(store, output, result)


def _gather(store: Store, configured: ConfigureResult, failures: Sequence[Failure]) -> tuple[list[Tested], list[FailedConfiguration]]:
    why = {failure.map_index: failure for failure in reversed(failures)}
    tested: dict[str, Tested] = {}
    failed = []
    for index, configuration in enumerate(configured.configurations):
        reported = why.get(index)
        missing = FailedConfiguration(
            name=configuration.name, step=reported.step if reported else None, reason=reported.reason if reported else NO_REASON
        )
        # The table shows a training that several configurations have under the first of their names.
        if reported and not _is_anothers(store, configuration):
            failed.append(missing)
            continue
        try:
            network = _tested(store, configuration)
        except MissingObject:
            failed.append(missing)
        except BadInput as error:
            failed.append(FailedConfiguration(name=configuration.name, step=None, reason=str(error)))
        else:
            first = tested.setdefault(network.plan.run_key, network)
            if first is not network:
                first.others.append(network.name)
    return list(tested.values()), failed


def _tested(store: Store, configuration: Configuration) -> Tested:
    plan = store.read(Configured(configuration.out).plan)
    (evaluation,) = plan.evaluations
    result = store.read(Scores(evaluation.out))
    scored = from_parquet(store.read_bytes(result.predictions_uri), result.predictions_uri)
    return Tested(configuration.name, plan, store.read(Run(plan.run_uri).train), result, scored)


def _is_anothers(store: Store, configuration: Configuration) -> bool:
    """Check whether it failed because another configuration has its training."""
    try:
        plan = store.read(Configured(configuration.out).plan)
        return store.read_bytes(Claims(configuration.claims).of(plan.run_key)).decode() != configuration.name
    except (MissingObject, BadInput):
        return False
