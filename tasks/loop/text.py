"""Write the summary and a difference of datasets in plain text, for a shell."""

import textwrap
from collections.abc import Iterator, Sequence

from tasks.loop.advice import moment, score_in_words
from tasks.store.records.status import (
    DatasetChange,
    DifferentClip,
    DiffResult,
    LoopStatus,
    ModelStatus,
    PredictionStatus,
    StatusResult,
)
from tasks.wording import count, duration, listed, percent, size, stretch

WIDTH = 100
INDENT = 13
NUM_VERSIONS, NUM_DATASETS = 5, 3


def lines_of(result: StatusResult) -> Iterator[str]:
    """Yield the sentence, the things to do next and the boxes, as wide as `WIDTH`."""
    yield from textwrap.wrap(result.sentence, WIDTH)
    yield ""
    for number, step in enumerate(result.next_steps, 1):
        yield from textwrap.wrap(f"{number}. {step.text}", WIDTH, subsequent_indent="   ")
        # An address is of no use in two parts.
        if step.url:
            yield f"   {step.url}"
    yield ""
    for title, texts in boxes(result.status):
        for number, text in enumerate(texts):
            opening = f"{'' if number else title:<{INDENT}}"
            yield from textwrap.wrap(text, WIDTH, initial_indent=opening, subsequent_indent=" " * INDENT)


def boxes(status: LoopStatus) -> Iterator[tuple[str, list[str]]]:
    """Yield each box by its title; one without a summary says when it appears."""
    missing = "appears with the next run of the step"
    yield "Films", list(_films(status)) or [f"{missing} summarise"]
    yield "Labels", list(_labels(status)) or [f"{missing} label"]
    yield "Dataset", list(_dataset(status)) or [f"{missing} dataset"]
    yield "Training", list(_training(status)) or [f"{missing} plan"]
    yield "Champion", list(_model(status.model)) if status.model else [f"{missing} decide"]
    yield "Predictions", [_prediction(known) for known in status.predictions.predictions] if status.predictions else ["none yet"]
    if status.space:
        freed = f"clean_up {'would delete' if status.space.is_dry_run else 'deleted'} {size(status.space.freed_bytes)}"
        yield "Space", [f"{size(status.space.store_bytes)} in the store at {moment(status.space.at)}; {freed}"]


def _films(status: LoopStatus) -> Iterator[str]:
    if (films := status.films) is None:
        return
    new = f"; {films.num_new:,} new at {moment(films.new_at)}" if films.new_at and films.num_new else ""
    yield f"{count(films.num_videos, 'film')}; {count(films.num_clips, 'clip')} in the latest ingest{new}"
    if films.num_set_aside:
        yield f"{count(films.num_set_aside, 'file')} set aside: {'; '.join(f'{bad.name}: {bad.reason}' for bad in films.first_set_aside)}"


def _labels(status: LoopStatus) -> Iterator[str]:
    if (labels := status.labels) is None:
        return
    share = f" ({percent(labels.num_labelled / labels.num_clips)})" if labels.num_clips else ""
    yield f"{labels.num_labelled:,} of {count(labels.num_clips, 'clip')}{share}; {count(labels.num_problems, 'rejected line')}"
    if labels.by_origin:
        yield listed([f"{origin.num_clips:,} by {origin.kind} {origin.name}" for origin in labels.by_origin])
    yield labels.agreement or "No second reader yet: invite somebody to the page Label."


def _dataset(status: LoopStatus) -> Iterator[str]:
    if (dataset := status.dataset) is None:
        return
    splits = ", ".join(f"{split.split} {count(split.num_clips, 'clip')} of {count(split.num_sources, 'film')}" for split in dataset.splits)
    yield f"{dataset.digest} of {moment(dataset.at)}: {splits}"
    if dataset.change:
        yield change_in_words(dataset.change)
    yield from dataset.warnings
    if before := dataset.datasets[1 : 1 + NUM_DATASETS]:
        yield f"before: {listed([f'{kept.digest} ({moment(kept.at)})' for kept in before])}"


def change_in_words(change: DatasetChange) -> str:
    """Say in numbers how a dataset differs from the one before."""
    parts = [
        f"{count(change.num_videos_added, 'film')} and {count(change.num_clips_added, 'clip')} more",
        f"{count(change.num_videos_removed, 'film')} and {count(change.num_clips_removed, 'clip')} fewer",
        f"{count(change.num_relabelled, 'clip')} relabelled",
        f"{count(change.num_moved, 'clip')} in another split",
        *([f"new classes {listed(list(change.classes_added))}"] if change.classes_added else []),
        *([f"without the classes {listed(list(change.classes_removed))}"] if change.classes_removed else []),
    ]
    return f"since {change.before}: {', '.join(parts)}"


def _training(status: LoopStatus) -> Iterator[str]:
    if (training := status.training) is None:
        return
    clips = f"{count(training.num_train_clips, 'clip')} of " if training.num_train_clips is not None else ""
    expected = f"; about {duration(training.expected_seconds)}" if training.expected_seconds is not None else ""
    yield f"planned at {moment(training.at)}: {training.recipe}; {clips}dataset {training.dataset}{expected}"


def _model(model: ModelStatus) -> Iterator[str]:
    for version in model.versions[:NUM_VERSIONS]:
        yield f"v{version.version} {version.event} at {moment(version.at)}: {score_in_words(version, model)}; {version.reason}"
    if len(model.versions) > NUM_VERSIONS:
        yield f"and {count(len(model.versions) - NUM_VERSIONS, 'earlier decision')}"
    if model.weak_classes:
        yield f"worst: {listed([f'{weak.name} ({weak.num_right} of {weak.num_clips} right)' for weak in model.weak_classes])}"


def _prediction(known: PredictionStatus) -> str:
    films = f"{count(known.num_videos, 'film')}, {count(known.num_clips, 'clip')}, {percent(known.unsure_share)} unsure"
    return f"{moment(known.at)}: {films}, by {known.model}{f'; {known.unlike}' if known.unlike else ''}"


def lines_of_difference(result: DiffResult) -> Iterator[str]:
    """Yield all differences of two datasets."""
    lists = result.difference
    splits = ", ".join(f"{split.split} {split.before:,} to {split.after:,}" for split in lists.splits)
    yield f"From dataset {result.before} to {result.after}; clips: {splits}"
    for title, videos in (("added", lists.videos_added), ("removed", lists.videos_removed)):
        yield from _titled("film", title, [f"{video.name}: {count(video.num_clips, 'clip')}" for video in videos])
    for title, clips in (
        ("added", lists.clips_added),
        ("removed", lists.clips_removed),
        ("relabelled", lists.relabelled),
        ("in another split", lists.moved),
    ):
        yield from _titled("clip", title, [_clip(clip) for clip in clips])
    for title, classes in (("added", lists.classes_added), ("removed", lists.classes_removed)):
        yield from _titled("class", title, classes)


def _clip(clip: DifferentClip) -> str:
    return f"{clip.name} {stretch(clip.start_seconds, clip.stop_seconds)}: {' to '.join(filter(None, (clip.before, clip.after)))}"


def _titled(noun: str, title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{count(len(lines), noun)} {title}"
        yield from (f"  {line}" for line in lines)
