"""Make the parts of the summary from the records of steps; `history` makes that of a model."""

from collections import Counter
from collections.abc import Mapping
from typing import Literal

from tasks.store.records.dataset import Agreement, DatasetResult, LabelResult, LabelsFile
from tasks.store.records.record import SPLITS
from tasks.store.records.status import (
    DatasetChange,
    DatasetStatus,
    FilmsStatus,
    KeptDataset,
    LabelCount,
    LabelsStatus,
    PredictionsStatus,
    PredictionStatus,
    SplitStatus,
    TrainingStatus,
)
from tasks.store.records.training import PlanResult
from tasks.store.records.video import SummaryResult
from tasks.wording import count, percent

MAX_SHOWN = 20
MAX_DATASETS = 50
MAX_PREDICTIONS = 10


def films_status(earlier: FilmsStatus | None, summary: SummaryResult, num_videos: int, at: str) -> FilmsStatus:
    """Sum up an ingest; one that brought no new video keeps the number and the time of the latest that did.

    In a store without this part, an earlier version may have taken videos in, so none is called new.

    Args:
        num_videos: of the store.
    """
    num_new = num_videos - (earlier.num_videos if earlier else num_videos)
    before = (earlier.num_new, earlier.new_at) if earlier else (0, at)
    num_latest, new_at = (num_new, at) if num_new > 0 else before
    return FilmsStatus(
        at=at,
        num_videos=num_videos,
        num_clips=summary.num_clips,
        num_new=num_latest,
        new_at=new_at,
        num_set_aside=summary.num_set_aside,
        first_set_aside=summary.first_set_aside[:MAX_SHOWN],
    )


def labels_status(labels: LabelsFile, result: LabelResult, people: Mapping[str, str], at: str) -> LabelsStatus:
    """Count labelled clips by folder, file and person.

    Args:
        people: by clip, who labelled it on the page.
    """
    folders = {f"folder {folder.folder}": folder.folder for folder in labels.folders}

    def origin_of(uid: str, origin: str) -> tuple[Literal["folder", "file", "person"], str]:
        if uid in people:
            return "person", people[uid]
        if origin in folders:
            return "folder", folders[origin]
        # A line of a file is `a.csv:12`, an item of another tool's `a.json, video 3`.
        file = origin.partition(", ")[0]
        name, _, line = file.rpartition(":")
        return "file", name if name and line.isdecimal() else file

    counted = Counter(origin_of(clip.clip.uid, clip.origin) for clip in labels.clips if clip.origin is not None)
    most = sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))[:MAX_SHOWN]
    return LabelsStatus(
        at=at,
        num_clips=result.num_clips,
        num_labelled=result.num_labelled,
        by_origin=tuple(LabelCount(kind=kind, name=name, num_clips=number) for (kind, name), number in most),
        agreement=agreement_in_words(labels.agreement) if labels.agreement else "",
        num_problems=result.num_problems,
        num_statements=result.num_statements,
    )


def agreement_in_words(agreement: Agreement) -> str:
    """Say how far two readers agree."""
    interval = f" [{agreement.interval[0]:.2f}, {agreement.interval[1]:.2f}]" if agreement.interval else ""
    kappa = "" if agreement.kappa is None else f" {agreement.kappa:.2f}{interval}"
    clips = f"{count(agreement.num_clips, 'clip')} of {count(agreement.num_videos, 'video')}"
    return f"Two readers give the same answer to {percent(agreement.share)} of {clips}; Cohen's kappa{kappa}{agreement.about_interval}."


def dataset_status(earlier: DatasetStatus | None, result: DatasetResult, change: DatasetChange | None, at: str) -> DatasetStatus:
    """Sum up the latest dataset; one that is the latest already keeps its change and its place among those before."""
    is_known = earlier is not None and earlier.digest == result.digest
    kept = earlier.datasets if earlier else ()
    if not is_known:
        latest = KeptDataset(digest=result.digest, at=at, num_clips=sum(result.num_clips.values()))
        kept = (latest, *(dataset for dataset in kept if dataset.digest != result.digest))[:MAX_DATASETS]
    return DatasetStatus(
        at=at,
        digest=result.digest,
        splits=tuple(
            SplitStatus(split=split, num_clips=result.num_clips[split], num_sources=result.num_sources[split]) for split in SPLITS
        ),
        num_unlabelled=result.num_unlabelled,
        change=earlier.change if earlier and is_known else change,
        warnings=result.warnings[:MAX_SHOWN],
        datasets=kept,
    )


def training_status(plan: PlanResult, recipe: str, at: str) -> TrainingStatus:
    """Sum up a planned training."""
    return TrainingStatus(
        at=at,
        run_key=plan.run_key,
        recipe=recipe,
        num_train_clips=plan.num_train_clips,
        estimate=plan.estimate,
        expected_seconds=plan.expected_seconds,
        dataset=plan.dataset_digest,
    )


def with_prediction(earlier: PredictionsStatus | None, latest: PredictionStatus) -> PredictionsStatus:
    """Put a prediction first among the latest, in place of an earlier report on it."""
    others = (known for known in (earlier.predictions if earlier else ()) if known.prediction_uri != latest.prediction_uri)
    return PredictionsStatus(predictions=(latest, *others)[:MAX_PREDICTIONS])
