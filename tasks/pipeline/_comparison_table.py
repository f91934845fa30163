"""Publish a table of tested networks: page, CSV, JSON, and MLflow run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tasks.judge.report.networks import metrics_of, networks_note, networks_page, table, verdict
from tasks.judge.statistics.metrics import with_actions
from tasks.judge.statistics.paired import differences
from tasks.judge.statistics.scoring import ScoredClips
from tasks.pipeline._results import finish, log, publish_files, schema_of
from tasks.settings import MlflowSettings, load, report_url
from tasks.store.objects import Store, to_json
from tasks.store.records.comparison import ComparedNetwork, Comparison, FailedConfiguration, TabulateResult
from tasks.store.records.dataset import Vocabulary
from tasks.store.records.evaluation import EvaluateResult
from tasks.store.records.record import now_utc
from tasks.store.records.training import PlanResult, TrainResult
from tasks.store.run_layout import ComparisonTable
from tasks.tracking import Tracker, comparison_run
from tasks.wording import count


@dataclass(frozen=True)
class Tested:
    """The plan, training and scores of one network; `others` are further names of its training."""

    name: str
    plan: PlanResult
    trained: TrainResult
    result: EvaluateResult
    scored: ScoredClips
    others: list[str] = field(default_factory=list)


def _compared(network: Tested, reference: ScoredClips | None, vocabulary: Vocabulary) -> ComparedNetwork:
    """Make the row of a network, with its differences from `reference`."""
    train, result, trained = network.plan.train, network.result, network.trained
    members = network.plan.weights.members
    resamples = network.plan.evaluate.bootstrap_resamples
    return ComparedNetwork(
        name=network.name,
        others=tuple(network.others),
        network=network.plan.weights.network,
        family=("fusion" if train.join == "logits" else "joined features") if members else train.family.value,
        backbone=count(len(members), "network") if members else train.backbone,
        modality=None if members else train.modality,
        num_segments=None if members else train.num_segments,
        members=tuple(member.modality for member in members),
        weights=network.plan.weights.description,
        run_key=network.plan.run_key,
        run_uri=network.plan.run_uri,
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
            with_actions(network.scored, vocabulary),
            {"reference": with_actions(reference, vocabulary)},
            vocabulary,
            num_resamples=resamples,
        )
        if reference
        else (),
        nothing=result.nothing,
    )


def comparison_of(
    tested: Sequence[Tested], vocabulary: Vocabulary, reference: Tested | None, failed: Sequence[FailedConfiguration] = ()
) -> Comparison:
    """Put networks side by side, each with its differences from `reference`."""
    first = tested[0]
    others = reference.scored if reference else None
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
        networks=tuple(_compared(network, None if network is reference else others, vocabulary) for network in tested),
        failed=tuple(failed),
    )


def publish(
    store: Store,
    store_uri: str,
    place: ComparisonTable,
    key: str,
    comparison: Comparison,
    tested: Sequence[Tested],
    thumbnails: Mapping[str, bytes] | None = None,
) -> TabulateResult:
    """Write the page, with thumbnails of its clips, and the tables to store and MLflow."""
    tracker = Tracker(load(MlflowSettings))
    with comparison_run(tracker, store_uri, key, comparison, [network.trained.mlflow_run_id for network in tested]) as run_id:
        publish_files(store, place, _files(place, comparison, thumbnails), tracker, run_id)
        tracker.log_metrics(run_id, metrics_of(comparison))
        tracker.set_tags(run_id, {"mlflow.note.content": networks_note(comparison)})
    tracker.finish(run_id)
    url = tracker.run_url(run_id)
    result = TabulateResult(
        report_uri=place.page,
        table_uri=place.csv,
        comparison_uri=place.numbers.uri,
        num_networks=len(comparison.networks),
        num_failed=len(comparison.failed),
        verdict=verdict(comparison),
        report_url=report_url(place.page, f"{url}/artifacts/report.html"),
        mlflow_run_url=url,
    )
    log.info("%s", result.verdict)
    return finish(store, place, result)


def _files(place: ComparisonTable, comparison: Comparison, thumbnails: Mapping[str, bytes] | None) -> dict[str, bytes]:
    return {
        place.page: networks_page(comparison, thumbnails).encode(),
        place.csv: table(comparison),
        place.numbers.uri: to_json(comparison),
        place.schema: schema_of(Comparison),
    }
