"""Write a prediction's report: tables, WebVTT tracks, one HTML page, and clips to label."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tasks.data.clips.frame_cache import passing_frames
from tasks.data.clips.label_inputs import read_log, video_records
from tasks.data.clips.stored_clips import find_cut
from tasks.data.labels.ledger import Ledger
from tasks.data.labels.video_names import video_names
from tasks.data.split.split import read_split_csv
from tasks.errors import BadInput, MissingObject
from tasks.loop.summary import keep
from tasks.loop.summary_parts import with_prediction
from tasks.pipeline._media import MAX_THUMBNAILS, playable, thumbnails
from tasks.pipeline._results import earlier_result, finish, log, with_limits
from tasks.pipeline.predict_videos._chosen import dataset_clips, names_of
from tasks.pipeline.predict_videos.contract import REPORT, PredictionArguments
from tasks.predict.agreement import Tally, confusion_table
from tasks.predict.gathering import Gathered, gather
from tasks.predict.interval_scores import WhenScores, reported_scores, when_scores
from tasks.predict.interval_scores import table as table_of_when
from tasks.predict.output_files import shown_intervals, shown_labels, write_intervals
from tasks.predict.page import PageInputs, PredictionProvenance, page
from tasks.predict.scored_video import FoundIntervals, Names, find_intervals
from tasks.predict.shift import NewSource, Shift, shift_in_words, shift_of
from tasks.predict.shift import table as table_of_shift
from tasks.predict.to_label import parquet, table
from tasks.settings import MachineSettings, MlflowSettings, load, report_url
from tasks.store.derived import prediction_of_plan
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.evaluation import EngineUsed
from tasks.store.records.prediction import (
    KnownClipsResult,
    KnownInterval,
    PredictBatchResult,
    PredictionBatch,
    PredictorRole,
    PredictPlanResult,
    PredictReportResult,
    ScoredVideo,
)
from tasks.store.records.record import SetAside, now_utc
from tasks.store.records.status import PredictionStatus
from tasks.store.records.video import NUM_FIRST
from tasks.store.run_layout import PredictedBatch, Prediction
from tasks.tracking import Tracker, prediction_run
from tasks.wording import count

NUM_PAIRS = 8


def run(arguments: PredictionArguments, store: Store) -> PredictReportResult:
    """Write the report to the store and into an MLflow run of its own.

    Videos of a batch without a result are set aside by name.

    Raises:
        BadInput: no video could be predicted; the message has the first reasons.
    """
    plan = store.read(arguments.planned)
    place = REPORT.address(arguments)
    batches, failed = _batches(plan, store)
    num_failed_batches = len(plan.batches) - len(batches)
    # A report that was made while other batches were missing is made again.
    if (earlier := earlier_result(store, place)) and earlier.num_failed_batches == num_failed_batches:
        return earlier
    known = store.read(prediction_of_plan(arguments.plan).known)
    videos = [video for batch in batches for video in batch.videos]
    set_aside = (*plan.set_aside, *(bad for batch in batches for bad in batch.set_aside), *failed)
    if not videos:
        raise BadInput(f"no video could be predicted: {'; '.join(f'{bad.name}: {bad.reason}' for bad in set_aside[:NUM_FIRST])}")
    known_labels = store.read(Prediction(plan.prediction_uri).labels)
    labels = {label.uid: label for label in known_labels.labels}
    log.info("writing tables, tracks and page of %s", count(len(videos), "video"))
    tracker = Tracker(load(MlflowSettings))
    with prediction_run(tracker, plan, len(videos)) as run_id, tempfile.TemporaryDirectory(prefix="retake-predictions-") as name:
        folder = Path(name)
        url = tracker.run_url(run_id)
        names = names_of(plan, store, {role for batch in batches for role in batch.verb_alone})
        gathered = gather(plan, videos, labels, names, folder, store.read_file, _not_to_label(arguments.store, store))
        predicted = find_intervals(plan, videos, names, folder, store.read_file)
        if plan.predict.stride_seconds is not None:
            write_intervals(plan, predicted, names, video_names(video_records(store, plan.store)), folder)
        when = when_scores(plan, predicted, known_labels, names)
        if when:
            (folder / "when.csv").write_bytes(table_of_when(when, plan, names))
        (folder / "to_label.csv").write_bytes(table(gathered.to_label))
        (folder / "to_label.parquet").write_bytes(parquet(gathered.to_label))
        if any(gathered.tally.named.values()):
            (folder / "confusion.csv").write_bytes(confusion_table(gathered.tally.named, names))
        shift = _new_footage(plan, videos, gathered, known, store)
        if shift:
            log.info("new footage: %s", shift_in_words(shift))
            (folder / "shift.csv").write_bytes(table_of_shift(shift))
        inputs = _page_inputs(plan, gathered, predicted, known_labels.intervals, when, names, batches, set_aside, known, url, store)
        inputs = replace(inputs, reported=reported_scores(plan, predicted, known_labels, names), shift=shift)
        inputs = replace(inputs, thumbnails=_thumbnails(plan, inputs.named_uids[:MAX_THUMBNAILS], videos, store))
        (folder / "report.html").write_text(page(inputs), encoding="utf-8")
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            store.write_file(place.file(file.relative_to(folder).as_posix()), file)
        tracker.log_artifacts(run_id, folder)
        tracker.log_metrics(run_id, _metrics(inputs))
        tracker.set_tags(run_id, {"mlflow.note.content": _note(inputs, f"{url}/artifacts/report.html")})
    agreement = inputs.agreements[-1] if inputs.agreements else None
    result = PredictReportResult(
        num_videos=len(videos),
        num_clips=gathered.num_clips,
        num_set_aside=len(set_aside),
        first_set_aside=set_aside[:NUM_FIRST],
        missing=inputs.missing,
        action_agreement=agreement.share if agreement else None,
        action_agreement_interval=agreement.interval if agreement else None,
        num_to_label=len(gathered.to_label),
        page_uri=place.page,
        table_uri=place.table,
        to_label_uri=place.to_label,
        report_url=report_url(place.page, f"{url}/artifacts/report.html"),
        mlflow_run_url=url,
        num_failed_batches=num_failed_batches,
        shift="" if shift is None else shift_in_words(shift),
        intervals_uri=None if plan.predict.stride_seconds is None else place.intervals,
        num_intervals=None if plan.predict.stride_seconds is None else sum(len(each.reported.get("model", ())) for each in predicted),
    )
    latest = PredictionStatus(
        at=now_utc(),
        prediction_uri=plan.prediction_uri,
        report_url=result.report_url,
        model=plan.model.label,
        num_videos=result.num_videos,
        num_clips=result.num_clips,
        unsure_share=gathered.num_unsure / max(1, gathered.num_clips),
        unlike=result.shift,
        is_unlike=shift is not None and shift.verdict == "unlike",
        num_to_label=result.num_to_label,
    )
    # Before the commit mark: a repeat that finds it writes nothing.
    keep(store, Layout(arguments.store).status.predictions, lambda earlier: with_prediction(earlier, latest))
    log.info("the page: %s", result.report_url)
    return finish(store, place, result)


def _not_to_label(store_uri: str, store: Store) -> set[str]:
    """List measured videos and sources, and clips that somebody was unsure of."""
    uri = Layout(store_uri).split_file
    splits = read_split_csv(store.read_bytes(uri)) if store.exists(uri) else {}
    return {name for name, split in splits.items() if split != "train"} | Ledger.of(read_log(store, store_uri)).unsure


def _batches(plan: PredictPlanResult, store: Store) -> tuple[list[PredictBatchResult], list[SetAside]]:
    """Read the results of the batches, and set aside the videos of batches without one."""
    results, failed = [], []
    for batch in plan.batches:
        try:
            results.append(store.read(PredictedBatch(batch.out)))
        except MissingObject:
            videos = store.read(batch.uri, PredictionBatch).videos
            failed += [SetAside(name=video.name, reason="its task failed; see predict's log") for video in videos]
    return results, failed


def _new_footage(
    plan: PredictPlanResult, videos: Sequence[ScoredVideo], gathered: Gathered, known: KnownClipsResult, store: Store
) -> Shift | None:
    """Compare distances by source video; None without a new video, or a training clip."""
    known_sources = {name for clip in dataset_clips(plan, store) for name in (clip.video, clip.source)}
    by_source: dict[str, list[ScoredVideo]] = {}
    for video in videos:
        source = plan.sources.get(video.video, video.video)
        if video.video in gathered.distances and known_sources.isdisjoint({video.video, source}):
            by_source.setdefault(source, []).append(video)
    new = [
        NewSource(source, ", ".join(video.name for video in own), [d for video in own for d in gathered.distances[video.video]])
        for source, own in by_source.items()
    ]
    return shift_of(new, known.reference) if new else None


def _page_inputs(
    plan: PredictPlanResult,
    gathered: Gathered,
    predicted: Sequence[FoundIntervals],
    labels: Sequence[KnownInterval],
    when: tuple[WhenScores, ...],
    names: Names,
    batches: Sequence[PredictBatchResult],
    set_aside: tuple[SetAside, ...],
    known: KnownClipsResult,
    url: str,
    store: Store,
) -> PageInputs:
    machine = load(MachineSettings)
    tally: Tally = gathered.tally
    agreements = tally.agreements()
    intervals = {each.video.video: shown_intervals(each, names) for each in predicted}
    labelled = {video: shown_labels(video, labels, names) for video in intervals}
    confusions = tally.confusions()
    media = playable(store, (clip.uri for clip in gathered.differing))
    return PageInputs(
        model=plan.model,
        against=plan.against if agreements else None,
        missing=tuple(dict.fromkeys((*plan.missing, *(reason for batch in batches for reason in batch.missing)))),
        targets=names.targets,
        num_videos=sum(len(batch.videos) for batch in batches),
        num_videos_trained_on=gathered.num_videos_trained_on,
        num_trained_by=gathered.num_trained_by,
        num_clips=gathered.num_clips,
        num_labelled=tally.num_labelled,
        videos=tuple(
            replace(video, intervals=intervals.get(video.video, {}), labelled=labelled.get(video.video, ())) for video in gathered.videos
        ),
        agreements=agreements,
        pairs={target: tally.pairs(target, NUM_PAIRS) for target in names.targets},
        num_differing={target: tally.num_differing(target) for target in names.targets},
        confusions=confusions,
        clip_names=tally.clip_names({uid for matrix in confusions.values() for cell in matrix.wrong for uid in cell.uids}),
        accuracies=tally.accuracies(),
        differing=tuple(replace(clip, media=media.get(clip.uri)) for clip in gathered.differing),
        to_label=tuple(gathered.to_label),
        set_aside=set_aside,
        when=when,
        stride_seconds=plan.predict.stride_seconds,
        warnings=tuple(warning for batch in batches for warning in batch.warnings),
        provenance=PredictionProvenance(
            key=plan.key,
            created=now_utc(),
            code_version=machine.code_version,
            prediction_uri=plan.prediction_uri,
            airflow_run=machine.airflow_url or "started by hand",
            mlflow_run_url=url,
            crops=plan.evaluate.crops,
            engines=_engines(batches),
            known=known.reason,
            scoring_seconds=sum(batch.scoring_seconds for batch in batches),
        ),
    )


def _thumbnails(plan: PredictPlanResult, uids: Sequence[str], videos: Sequence[ScoredVideo], store: Store) -> dict[str, bytes]:
    """Draw the clips of these uids; a uid begins with the hash of its video."""
    shown = {uid.partition("_")[0] for uid in uids}
    cuts = [find_cut(store, plan.store, scored.video, plan.segment) for scored in videos if scored.video[:12] in shown]
    with passing_frames() as frames:
        return thumbnails(store, [clip for cut in cuts if cut for clip in cut.clips], uids, root=frames)


def _engines(batches: Sequence[PredictBatchResult]) -> dict[PredictorRole, tuple[tuple[EngineUsed, int], ...]]:
    """Count the clips that each engine scored, by network, the most first.

    Batches of few clips may have another engine than the rest.
    """
    counts: dict[PredictorRole, Counter[str]] = {}
    engines: dict[str, EngineUsed] = {}
    for batch in batches:
        for role, used in batch.engines.items():
            # The parity difference varies by batch and does not distinguish engines.
            key = "; ".join(filter(None, (used.label, used.description, used.fallback_reason)))
            engines.setdefault(key, used)
            counts.setdefault(role, Counter())[key] += sum(video.num_clips for video in batch.videos)
    return {role: tuple((engines[key], number) for key, number in own.most_common() if number) for role, own in counts.items()}


def _metrics(inputs: PageInputs) -> dict[str, float]:
    metrics: dict[str, float] = {"num_videos": inputs.num_videos, "num_clips": inputs.num_clips, "num_to_label": len(inputs.to_label)}
    metrics |= with_limits({f"{own.target}_agreement": (own.share, own.interval) for own in inputs.agreements})
    for accuracy in inputs.accuracies:
        name = "top1_trained_on" if accuracy.is_trained_on else "top1"
        metrics |= {f"{role}/{target}_{name}": m.top1 for role, targets in accuracy.networks.items() for target, m in targets.items()}
    if inputs.shift and inputs.shift.p_value is not None:
        metrics |= {"shift_p_value": inputs.shift.p_value, "shift_far_share": inputs.shift.num_far / inputs.shift.num_clips}
    for scores in inputs.reported:
        group = {"other": "", "val": "_val", "training": "_trained_on"}[scores.group]
        measured = {"interval_precision": scores.precision, "false_alarms_per_minute": scores.false_alarms_per_minute}
        metrics |= {f"{scores.role}/{name}{group}": value for name, value in measured.items() if value is not None}
    for when in inputs.when:
        name = {"other": "map", "val": "map_val", "training": "map_trained_on"}[when.group]
        metrics |= {f"{role}/{target}_{name}": scores.mean for role, targets in when.networks.items() for target, scores in targets.items()}
    return metrics


def _note(inputs: PageInputs, report_url: str) -> str:
    compared = f" beside {inputs.against.label}" if inputs.against else ""
    return f"{count(inputs.num_clips, 'clip')} of {count(inputs.num_videos, 'video')} by {inputs.model.label}{compared}: [the page]({report_url})"
