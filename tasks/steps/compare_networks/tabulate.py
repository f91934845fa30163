"""Put the compared networks into one table: page, CSV, JSON, and an MLflow run."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tasks.contracts.compare_networks import TABULATE, TabulateArguments
from tasks.errors import BadInput, MissingObject
from tasks.evaluation.nothing import with_actions
from tasks.evaluation.paired import differences
from tasks.evaluation.scores_file import from_parquet
from tasks.evaluation.scoring import ScoredClips
from tasks.keys import content_key
from tasks.report.network_page import networks_note, networks_page
from tasks.report.network_table import metrics_of, table, verdict
from tasks.results.comparison import ComparedNetwork, Comparison, Configuration, ConfigureResult, FailedConfiguration, TabulateResult
from tasks.results.dataset import Manifest
from tasks.results.record import now_utc
from tasks.settings import MlflowSettings, load
from tasks.steps._failures import Failure, parse_failures
from tasks.steps._step import finish, finished, log, write_files
from tasks.store.comparisons import Claims, ComparisonTable, Configurations, Configured
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store, to_json
from tasks.store.runs import Run, Scores
from tasks.tracking import Tracker, comparison_run, end_trainings
from tasks.wording import count

NO_REASON = "it left no result; the log of its first failed task says why"


class Tested:
    """The plan, training and scores of one network, read from the store."""

    def __init__(self, store: Store, configuration: Configuration) -> None:
        self.name = configuration.name
        self.others: list[str] = []
        self.plan = store.read(Configured(configuration.out).plan)
        self.trained = store.read(Run(self.plan.run_uri).train)
        (evaluation,) = self.plan.evaluations
        self.result = store.read(Scores(evaluation.out))
        self.scored = from_parquet(store.read_bytes(self.result.predictions_uri), self.result.predictions_uri)


def run(arguments: TabulateArguments, store: Store) -> TabulateResult:
    """Write the comparison of the tested networks, and name the failed ones with their reasons.

    Raises:
        BadInput: every configuration failed.
    """
    output = TABULATE.address(arguments)
    configured = store.read(Configurations(arguments.configured))
    tested, failed = _gather(store, configured, parse_failures(arguments.failures))
    tracker = Tracker.from_settings(load(MlflowSettings))
    end_trainings(tracker, {one.trained.mlflow_run_id for one in tested})
    if not tested:
        raise BadInput(f"every configuration failed: {'; '.join(f'{one.name}: {one.reason}' for one in failed)}")
    # Equal networks and failures have the same key, so that links to the page stay valid.
    key = content_key(
        {
            "results": [one.plan.evaluations[0].out for one in tested],
            "names": [one.name for one in configured.configurations],
            "failed": [one.model_dump() for one in failed],
        }
    )
    place = Layout(arguments.store).comparison_table(tested[0].plan.dataset_digest, key)
    if earlier := finished(store, place):
        log.info("%s", earlier.verdict)
        return finish(store, output, earlier)
    comparison = _comparison(store, configured, tested, failed)
    with (
        comparison_run(tracker, arguments.store, key, comparison, [one.trained.mlflow_run_id for one in tested]) as run_id,
        tempfile.TemporaryDirectory(prefix="retake-tabulate-") as folder,
    ):
        write_files(store, place, _files(place, comparison), Path(folder))
        tracker.log_artifacts(run_id, Path(folder))
        tracker.log_metrics(run_id, metrics_of(comparison))
        tracker.set_tags(run_id, {"mlflow.note.content": networks_note(comparison)})
    tracker.finish(run_id)
    url = tracker.run_url(run_id)
    result = TabulateResult(
        report_uri=place.page,
        table_uri=place.csv,
        comparison_uri=place.numbers.uri,
        num_networks=len(tested),
        num_failed=len(failed),
        verdict=verdict(comparison),
        report_url=f"{url}/artifacts/report.html",
        mlflow_run_url=url,
    )
    log.info("%s", result.verdict)
    finish(store, place, result)
    return finish(store, output, result)


def _gather(store: Store, configured: ConfigureResult, failures: Sequence[Failure]) -> tuple[list[Tested], list[FailedConfiguration]]:
    why = {failure.map_index: failure for failure in reversed(failures)}
    tested: dict[str, Tested] = {}
    failed = []
    for index, configuration in enumerate(configured.configurations):
        told = why.get(index)
        missing = FailedConfiguration(name=configuration.name, step=told.step if told else None, reason=told.reason if told else NO_REASON)
        if told and not _is_anothers(store, configuration):
            failed.append(missing)
            continue
        try:
            one = Tested(store, configuration)
        except MissingObject:
            failed.append(missing)
        except BadInput as error:
            failed.append(FailedConfiguration(name=configuration.name, step=None, reason=str(error)))
        else:
            first = tested.setdefault(one.plan.run_key, one)
            if first is not one:
                first.others.append(one.name)
    return list(tested.values()), failed


def _is_anothers(store: Store, configuration: Configuration) -> bool:
    """Check whether it failed because another configuration has its training.

    The table shows the training under whichever of the two names comes first.
    """
    try:
        plan = store.read(Configured(configuration.out).plan)
        return store.read_bytes(Claims(configuration.claims).of(plan.run_key)).decode() != configuration.name
    except (MissingObject, BadInput):
        return False


def _comparison(store: Store, configured: ConfigureResult, tested: Sequence[Tested], failed: Sequence[FailedConfiguration]) -> Comparison:
    first = tested[0]
    manifest = store.read(Dataset(first.plan.dataset_uri).manifest)
    reference = first if first.name == configured.configurations[0].name else None
    return Comparison(
        created=now_utc(),
        dataset_uri=first.plan.dataset_uri,
        dataset_digest=first.plan.dataset_digest,
        split=first.result.split,
        num_clips=first.result.num_clips,
        num_sources=first.result.num_sources,
        targets=first.result.targets,
        train=first.plan.train,
        evaluate=first.plan.evaluate,
        reference=reference.name if reference else None,
        networks=tuple(_compared(one, reference.scored if reference and one is not reference else None, manifest) for one in tested),
        failed=tuple(failed),
    )


def _compared(one: Tested, reference: ScoredClips | None, manifest: Manifest) -> ComparedNetwork:
    train, result, trained = one.plan.train, one.result, one.trained
    members = one.plan.weights.members
    resamples = one.plan.evaluate.bootstrap_resamples
    return ComparedNetwork(
        name=one.name,
        others=tuple(one.others),
        network=one.plan.weights.network,
        family=("fusion" if train.join == "logits" else "joined features") if members else train.family.value,
        backbone=count(len(members), "network") if members else train.backbone,
        modality=None if members else train.modality,
        num_segments=None if members else train.num_segments,
        members=tuple(member.modality for member in members),
        weights=one.plan.weights.description,
        run_key=one.plan.run_key,
        run_uri=one.plan.run_uri,
        mlflow_run_url=trained.mlflow_run_url,
        verb=result.verb,
        noun=result.noun,
        action=result.action,
        loss=result.loss,
        num_parameters=result.num_parameters,
        num_flops=result.num_flops,
        latency=result.latency,
        peak_memory_bytes=result.peak_memory_bytes,
        engine=result.engine,
        hardware=result.hardware,
        trained_on=trained.hardware,
        training_seconds=trained.seconds,
        num_epochs=trained.num_epochs,
        differences=differences(
            with_actions(one.scored, manifest.vocabulary),
            {"reference": with_actions(reference, manifest.vocabulary)},
            manifest.vocabulary,
            num_resamples=resamples,
        )
        if reference
        else (),
        nothing=result.nothing,
    )


def _files(place: ComparisonTable, comparison: Comparison) -> dict[str, bytes]:
    schema = json.dumps(Comparison.model_json_schema(), sort_keys=True, indent=1)
    return {
        place.page: networks_page(comparison).encode(),
        place.csv: table(comparison),
        place.numbers.uri: to_json(comparison),
        place.schema: f"{schema}\n".encode(),
    }
