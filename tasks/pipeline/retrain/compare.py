"""Compare the new network with its opponents: three tables, paired differences, gate."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from tasks.data.split.manifest import label_counts
from tasks.errors import MissingObject
from tasks.judge.gate.champion import kept_decisions
from tasks.judge.gate.gate import Decided, attempt_of, contenders, deciding_split, judge
from tasks.judge.report.comparison_text import markdown, text
from tasks.judge.statistics.class_changes import class_outcomes
from tasks.judge.statistics.metrics import OPPONENTS, nameable_clips
from tasks.judge.statistics.paired import Opponent, differences
from tasks.judge.statistics.scoring import ScoredClips
from tasks.pipeline._plans import plans_of
from tasks.pipeline._step import finish, finished, log, write_files
from tasks.pipeline.retrain._evidence import evaluation_results, predictions_of_actions
from tasks.pipeline.retrain.contract import COMPARE, PlannedArguments
from tasks.settings import MlflowSettings, load
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import Manifest
from tasks.store.records.evaluation import Attempt, CompareResult, PairedDifference
from tasks.store.records.record import SPLITS
from tasks.store.records.training import PlanResult
from tasks.store.stored import Output
from tasks.tracking import Tracker, tracked_run
from tasks.wording import count


def run(arguments: PlannedArguments, store: Store) -> CompareResult:
    """Write the tables to the store and to MLflow, and apply the gate's rules."""
    place = COMPARE.address(arguments)
    if earlier := finished(store, place):
        log.info("%s", store.read_bytes(place.text).decode())
        return earlier
    plan = store.read(Output(arguments.plan, PlanResult))
    manifest = store.read(Dataset(plan.dataset_uri).manifest)
    tracker = Tracker(load(MlflowSettings))
    results = evaluation_results(store, plan)
    ours, theirs = contenders(results)
    scored = predictions_of_actions(store, results, ours.split, manifest.vocabulary)
    opponents: dict[Opponent, ScoredClips] = {model: scored[model] for model in OPPONENTS if model in scored}
    log.info("resampling the answers to %s", count(len(scored["fine-tuned"].uids), "clip"))
    gains = differences(scored["fine-tuned"], opponents, manifest.vocabulary, num_resamples=plan.evaluate.bootstrap_resamples)
    here = [result for result in results if result.split == ours.split]
    nameable = nameable_clips(here, scored, manifest.vocabulary, num_resamples=plan.evaluate.bootstrap_resamples)
    decisive = next(d for d in gains if (d.target, d.opponent) == (ours.targets[-1], theirs.model))
    outcomes = class_outcomes(scored["fine-tuned"], scored[theirs.model], manifest.vocabulary)
    attempt = attempt_in_store(store, arguments.store, plan, manifest)
    acting = [clip for clip in manifest.clips if clip.split == "train" and clip.has_action]
    train_counts = label_counts(acting, ours.targets[-1:])
    judgement = judge(ours, theirs, decisive, outcomes, plan.gate, attempt, plan.train.label_noise, train_counts)
    baseline = plan.weights.description
    files = {
        place.table: markdown(results, gains, judgement, baseline, nameable, plan.previous.version if plan.previous else None).encode(),
        place.text: text(results, gains, judgement, baseline, nameable).encode(),
    }
    with tracked_run(tracker, plan) as run_id, tempfile.TemporaryDirectory(prefix="retake-compare-") as folder:
        write_files(store, place, files, Path(folder))
        tracker.log_artifacts(run_id, Path(folder))
        tracker.log_metrics(run_id, _gains(gains, ours.split))
        tracker.set_tags(run_id, {"mlflow.note.content": files[place.table].decode(), "retake.verdict": judgement.reason})
    log.info("%s", files[place.text].decode())
    result = CompareResult(
        split=ours.split,
        table_uri=place.table,
        opponent=decisive.opponent,
        champion_version=plan.champion.version if plan.champion else None,
        opponent_top1=theirs.action.top1,
        challenger_top1=ours.action.top1,
        differences=gains,
        nameable=nameable,
        gate=plan.gate,
        rules=judgement.rules,
        passed=judgement.passed,
        verdict=judgement.verdict,
        reason=judgement.reason,
        mlflow_run_url=tracker.run_url(run_id),
        attempt=attempt,
        provisional=judgement.provisional,
    )
    return finish(store, place, result)


def _gains(gains: Sequence[PairedDifference], split: str) -> dict[str, float]:
    """Name the gains and their intervals, as in `gain/val/action_top1_over_baseline`."""
    named = {f"gain/{split}/{d.target}_top1_over_{d.opponent}": d for d in gains}
    return {
        f"{name}{suffix}": value
        for name, d in named.items()
        for suffix, value in (("", d.difference), ("_low", d.interval[0]), ("_high", d.interval[1]))
    }


def attempt_in_store(store: Store, store_uri: str, plan: PlanResult, manifest: Manifest) -> Attempt:
    """Count decisions under this model name on this plan's deciding clips; rollbacks do not count."""
    manifests = {plan.dataset_uri: manifest}
    this = _decided(plan, manifest)
    records = kept_decisions(store, store_uri)
    run_keys = {record.run_key for record in records if record.model_name == plan.model_name and record.event != "rolled back"}
    earlier = []
    for run_key in sorted(run_keys - {plan.run_key}):
        if not (plans := plans_of(Layout(store_uri).run(run_key), store)):
            log.warning("run %s was decided on, and its plan is gone: it is not counted among the decisions on these clips", run_key)
            continue
        dataset_uri = plans[0].dataset_uri
        try:
            if dataset_uri not in manifests:
                manifests[dataset_uri] = store.read(Dataset(dataset_uri).manifest)
        except MissingObject as error:
            log.warning("run %s is not counted among the decisions on these clips: %s", run_key, error)
            continue
        earlier.append(_decided(plans[0], manifests[dataset_uri]))
    return attempt_of(this, earlier)


def _decided(plan: PlanResult, manifest: Manifest) -> Decided:
    split = deciding_split([split for split in SPLITS if any(clip.split == split for clip in manifest.clips)])
    return Decided(plan.run_key, plan.dataset_digest, frozenset(clip.uid for clip in manifest.clips if clip.split == split))
