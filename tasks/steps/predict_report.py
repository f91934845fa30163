"""Gathers a prediction: tables, WebVTT tracks, a page that opens anywhere, and the list of clips to label."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from tasks.errors import BadInput
from tasks.evaluation.prediction.agreement import Tally
from tasks.evaluation.prediction.page import Differing, PageInputs, Provenance, ShownVideo, page
from tasks.evaluation.prediction.to_label import table
from tasks.options import StoreUri
from tasks.results.evaluation import EngineUsed
from tasks.results.prediction import (
    KnownClipsResult,
    KnownLabels,
    PredictBatchResult,
    PredictorRole,
    PredictPlanResult,
    PredictReportResult,
)
from tasks.results.record import TARGETS, SetAside
from tasks.results.video import NUM_FIRST
from tasks.settings import MachineSettings, MlflowSettings, load
from tasks.steps._decisions import now_utc
from tasks.steps._gathered import Gathered, gather
from tasks.steps._predictors import names_of
from tasks.steps._step import StepArguments, finish, finished, log, result_uri
from tasks.storage import Store, split_uri
from tasks.tracking import Tracker

MAX_PLAYABLE_BYTES = 16 << 20
"""Of clips and previews in a page; further ones are named by their address."""

NUM_PAIRS = 8


class Arguments(StepArguments):
    """The plan of the prediction, and the clips that the model knows."""

    plan: StoreUri
    known: StoreUri


def run(arguments: Arguments, store: Store) -> PredictReportResult:
    """Write everything to the store and into an MLflow run of its own.

    Raises:
        BadInput: no video could be predicted; the message names each with its reason.
    """
    if earlier := finished(store, arguments.out, PredictReportResult):
        return earlier
    plan = store.read(result_uri(arguments.plan), PredictPlanResult)
    known = store.read(result_uri(arguments.known), KnownClipsResult)
    batches = [store.read(result_uri(batch.out), PredictBatchResult) for batch in plan.batches]
    videos = [video for batch in batches for video in batch.videos]
    set_aside = (*plan.set_aside, *(bad for batch in batches for bad in batch.set_aside))
    if not videos:
        raise BadInput(f"no video could be predicted: {'; '.join(f'{bad.name}: {bad.reason}' for bad in set_aside[:NUM_FIRST])}")
    labels = {label.uid: label for label in store.read(f"{plan.prediction_uri}labels.json", KnownLabels).labels}
    tracker = Tracker.from_settings(load(MlflowSettings))
    with _tracked(tracker, plan) as run_id, tempfile.TemporaryDirectory(prefix="retake-predictions-") as name:
        folder = Path(name)
        url = tracker.run_url(run_id)
        gathered = gather(plan, videos, labels, names_of(plan, store), folder, store)
        (folder / "to_label.csv").write_bytes(table(gathered.to_label))
        inputs = _page_inputs(plan, gathered, batches, set_aside, known, url, store)
        (folder / "report.html").write_text(page(inputs), encoding="utf-8")
        for file in sorted(path for path in folder.rglob("*") if path.is_file()):
            store.write_file(f"{arguments.out}{file.relative_to(folder).as_posix()}", file)
        tracker.log_artifacts(run_id, folder)
        tracker.log_metrics(run_id, _metrics(inputs))
        tracker.set_tags(run_id, {"mlflow.note.content": _note(inputs, f"{url}/artifacts/report.html")})
    action = next((one for one in inputs.agreements if one.target == "action"), None)
    result = PredictReportResult(
        num_videos=len(videos),
        num_clips=gathered.num_clips,
        num_set_aside=len(set_aside),
        first_set_aside=set_aside[:NUM_FIRST],
        missing=plan.missing,
        action_agreement=action.share if action else None,
        action_agreement_interval=action.interval if action else None,
        num_to_label=len(gathered.to_label),
        page_uri=f"{arguments.out}report.html",
        table_uri=f"{arguments.out}predictions.csv",
        to_label_uri=f"{arguments.out}to_label.csv",
        report_url=f"{url}/artifacts/report.html",
        mlflow_run_url=url,
    )
    log.info("the page: %s", result.report_url)
    return finish(store, arguments.out, result)


@contextmanager
def _tracked(tracker: Tracker, plan: PredictPlanResult) -> Iterator[str]:
    """The id of the prediction's one run, in the experiment of this store's predictions."""
    machine = load(MachineSettings)
    bucket, prefix = split_uri(plan.store)
    tags = {
        "retake.prediction_uri": plan.prediction_uri,
        "retake.model": plan.model.label,
        "retake.model_sha256": plan.model.checkpoint_sha256,
        "retake.against": plan.against.label if plan.against else "none",
        "mlflow.source.git.commit": machine.code_version,
        "retake.airflow_run": machine.airflow_url or "started by hand",
    }
    run_id = tracker.ensure_run(f"{f'{bucket}/{prefix}'.rstrip('/')} predictions", plan.key, tags)
    with tracker.running(run_id):
        yield run_id
        tracker.finish(run_id)


def _page_inputs(
    plan: PredictPlanResult,
    gathered: Gathered,
    batches: Sequence[PredictBatchResult],
    set_aside: tuple[SetAside, ...],
    known: KnownClipsResult,
    url: str,
    store: Store,
) -> PageInputs:
    machine = load(MachineSettings)
    tally: Tally = gathered.tally
    num_resamples = plan.evaluate.bootstrap_resamples
    differing, videos = _playable(gathered.differing, gathered.videos, store)
    return PageInputs(
        model=plan.model,
        against=plan.against,
        missing=plan.missing,
        num_videos=sum(len(batch.videos) for batch in batches),
        num_clips=gathered.num_clips,
        num_labelled=tally.num_labelled,
        videos=videos,
        agreements=tally.agreements(num_resamples),
        pairs={target: tally.pairs(target, NUM_PAIRS) for target in TARGETS},
        num_differing={target: tally.num_differing(target) for target in TARGETS},
        accuracy=tally.accuracy(num_resamples),
        differing=differing,
        to_label=tuple(gathered.to_label),
        set_aside=set_aside,
        provenance=Provenance(
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


def _engines(batches: Sequence[PredictBatchResult]) -> Mapping[PredictorRole, EngineUsed]:
    """Of the last batch that scored anything; batches of few clips may have had another."""
    return {role: used for batch in batches for role, used in batch.engines.items()}


def _playable(
    differing: Sequence[Differing], videos: Sequence[ShownVideo], store: Store
) -> tuple[tuple[Differing, ...], tuple[ShownVideo, ...]]:
    """The clips, and after them the previews, that a page of reasonable size can carry."""
    left_bytes = MAX_PLAYABLE_BYTES

    def media(uri: str | None) -> bytes | None:
        nonlocal left_bytes
        stored = store.stat(uri) if uri else None
        if stored is None or stored.size_bytes > left_bytes:
            return None
        left_bytes -= stored.size_bytes
        return store.read_bytes(stored.uri)

    clips = tuple(replace(one, media=media(one.uri)) for one in differing)
    return clips, tuple(replace(video, film=media(video.film_uri)) for video in videos)


def _metrics(inputs: PageInputs) -> dict[str, float]:
    found: dict[str, float] = {"num_videos": inputs.num_videos, "num_clips": inputs.num_clips, "num_to_label": len(inputs.to_label)}
    for one in inputs.agreements:
        found |= {f"{one.target}_agreement": one.share}
        found |= {f"{one.target}_agreement_{end}": value for end, value in zip(("low", "high"), one.interval, strict=True)}
    return found | {f"{role}/{target}_top1": m.top1 for role, targets in inputs.accuracy.items() for target, m in targets.items()}


def _note(inputs: PageInputs, report_url: str) -> str:
    compared = f" beside {inputs.against.label}" if inputs.against else ""
    return f"{inputs.num_clips} clips of {inputs.num_videos} videos by {inputs.model.label}{compared}: [the page]({report_url})"
