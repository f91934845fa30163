"""Write the report of one comparison: page, `metrics.json` with its schema, model card."""

from collections.abc import Sequence

import numpy as np

from tasks.data.clips.flow_and_sound import spectrograms
from tasks.data.clips.frame_cache import cache_test_frames, rgb_frames
from tasks.errors import BadInput
from tasks.judge.gate.verdict import figures_in_words
from tasks.judge.report.png_figures import contact_sheet, spectrogram_sheet
from tasks.judge.report.run import ReportInputs, approval_question, model_card, page
from tasks.pipeline._media import playable, thumbnails
from tasks.pipeline._plans import no_curve_reason, plans_of, sounds_of
from tasks.pipeline._results import earlier_result, finish, log, publish_files, schema_of
from tasks.pipeline.retrain._evidence import (
    evaluation_results,
    metrics_of,
    packages_of,
    predictions_of_actions,
    version_description,
    why_no_curve,
)
from tasks.pipeline.retrain.contract import REPORT, ReportArguments
from tasks.settings import MachineSettings, MlflowSettings, load, report_url
from tasks.store.derived import decision_of_plan
from tasks.store.layout import Dataset
from tasks.store.objects import Store, to_json
from tasks.store.records.dataset import Manifest
from tasks.store.records.decisions import ReportResult
from tasks.store.records.evaluation import ActivationMap, EvaluateResult
from tasks.store.records.metrics import Metrics, Mistake
from tasks.store.records.training import PlanResult
from tasks.store.run_layout import Decision, Report, Run
from tasks.tracking import Registry, Tracker, tracked_run


def run(arguments: ReportArguments, store: Store) -> ReportResult:
    """Write page, numbers and card to the store and into the MLflow run.

    They are written anew once `learning_curve` has ended, and once `export_champion` made a package.
    """
    place = REPORT.address(arguments)
    result = earlier_result(store, place)
    plan = store.read(arguments.planned)
    if result is None or _is_outdated(result, plan, place, store):
        result = _written(arguments, plan, place, result, store)
        # A curve or a package may have come meanwhile, and its task may have written the report before this one did.
        if _is_outdated(result, plan, place, store):
            result = _written(arguments, plan, place, result, store)
    return result


def _written(arguments: ReportArguments, plan: PlanResult, place: Report, earlier: ReportResult | None, store: Store) -> ReportResult:
    decision = decision_of_plan(arguments.plan)
    has_curve = any(store.exists(uri) for uri in (decision.learning_curve.uri, decision.no_learning_curve.uri))
    manifest = store.read(Dataset(plan.dataset_uri).manifest)
    compared = store.read(decision.compare)
    tracker = Tracker(load(MlflowSettings))
    results = evaluation_results(store, plan)
    scored = predictions_of_actions(store, results, compared.split, manifest.vocabulary)
    written = store.read(place.metrics) if earlier else None
    with tracked_run(tracker, plan, is_beside=earlier is not None) as run_id:
        url = tracker.run_url(run_id)
        metrics = metrics_of(
            store,
            plan,
            manifest,
            compared,
            results,
            scored,
            url,
            airflow_run=written.provenance.airflow_run if written else load(MachineSettings).airflow_url,
            # A command that writes the report anew does not know whether a curve was wanted.
            no_curve=(written and not has_curve and arguments.learning_curve is None and written.no_learning_curve)
            or why_no_curve(store, plan, is_wanted=arguments.learning_curve is not False),
        )
        # Those of a test of RGB frames; the cache has them where the same machine tested the network.
        seen = rgb_frames(plan.train.num_segments)
        wrong = {mistake.uid for mistake in metrics.mistakes}
        frames = cache_test_frames(store, [clip for clip in manifest.clips if clip.uid in wrong], seen)
        media = playable(store, (mistake.clip_uri for mistake in metrics.mistakes))
        inputs = ReportInputs(
            metrics=metrics,
            sheets={uid: contact_sheet(np.load(path)) for uid, path in frames.items()},
            thumbnails=thumbnails(store, manifest.clips, metrics.named_uids, seen),
            activations=_activations(store, results, metrics.mistakes),
            clips={mistake.uid: media[mistake.clip_uri] for mistake in metrics.mistakes if mistake.clip_uri in media},
            spectrograms=_spectrograms(store, plan, manifest, metrics.mistakes),
        )
        kept = f"decisions/{decision.key}"
        log.info("handing it to MLflow")
        # The root has the latest decision on this training; links lead to an address that no later decision overwrites.
        is_latest = not earlier or plans_of(Run(plan.run_uri), store)[0].decision_uri == plan.decision_uri
        publish_files(store, place, _files(place, inputs), tracker, run_id, kept, *([None] if is_latest else []))
        if is_latest and earlier:
            _describe_registered(store, plan)
    address = report_url(place.page, f"{url}/artifacts/{kept}/report.html")
    result = ReportResult(
        report_uri=place.page,
        metrics_uri=place.metrics.uri,
        card_uri=place.card,
        report_url=address,
        awaits_approval=compared.awaits_approval,
        approval_hours=compared.gate.approval_hours,
        question=approval_question(metrics, address),
        in_short=figures_in_words(metrics),
        mlflow_run_url=url,
        awaits_curve=not has_curve and not no_curve_reason(plan),
    )
    log.info("the report: %s", result.report_url)
    return finish(store, place, result)


def _is_outdated(earlier: ReportResult, plan: PlanResult, place: Report, store: Store) -> bool:
    """Check whether a package, or the outcome of the learning curve, is newer."""
    decision = Decision(plan.decision_uri)
    try:
        written = store.read(place.metrics)
    except BadInput as error:
        log.warning("the report stays as it is: %s", error)
        return False
    if packages_of(store, plan) != written.packages:
        return True
    if store.exists(decision.learning_curve.uri):
        return written.learning_curve is None
    return earlier.awaits_curve and store.exists(decision.no_learning_curve.uri)


def _describe_registered(store: Store, plan: PlanResult) -> None:
    """Describe the registered version, if there is one, by the card with the learning curve."""
    registered = Run(plan.run_uri).register
    if store.exists(registered.uri):
        registry = Registry(load(MlflowSettings))
        registry.describe(plan.model_name, store.read(registered).version, version_description(store, plan))


def _files(place: Report, inputs: ReportInputs) -> dict[str, bytes]:
    return {
        place.page: page(inputs).encode(),
        place.metrics.uri: to_json(inputs.metrics),
        place.schema: schema_of(Metrics),
        place.card: model_card(inputs.metrics).encode(),
    }


def _spectrograms(store: Store, plan: PlanResult, manifest: Manifest, mistakes: Sequence[Mistake]) -> dict[str, bytes]:
    """Draw the sound of mistakes of a network that hears; empty bytes for silence."""
    if not sounds_of(plan):
        return {}
    shown = {mistake.uid for mistake in mistakes}
    sounds = spectrograms(store, [clip for clip in manifest.clips if clip.uid in shown])
    return {uid: b"" if levels is None else spectrogram_sheet(levels) for uid, levels in sounds.items()}


def _activations(store: Store, results: list[EvaluateResult], mistakes: Sequence[Mistake]) -> dict[str, list[tuple[ActivationMap, bytes]]]:
    shown = {mistake.uid for mistake in mistakes}
    maps: dict[str, list[tuple[ActivationMap, bytes]]] = {}
    for activation in (activation for result in results for activation in result.activations if activation.uid in shown):
        maps.setdefault(activation.uid, []).append((activation, store.read_bytes(activation.uri)))
    return maps
