"""Read the summary of a store, keep its parts up to date, and print it."""

import logging
import textwrap
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from tasks.errors import BadInput, MissingObject
from tasks.loop.difference import change_in_words
from tasks.loop.next_steps import moment, score_in_words
from tasks.options import RegisterOptions
from tasks.store.layout import Layout
from tasks.store.objects import Store, to_json
from tasks.store.records.dataset import Manifest
from tasks.store.records.record import Record
from tasks.store.records.status import (
    DatasetStatus,
    LabelsStatus,
    LoopStatus,
    ModelStatus,
    PredictionStatus,
    StatusResult,
    TrainingStatus,
    VideosStatus,
)
from tasks.store.stored import Stored, last_name
from tasks.wording import count, duration, listed, percent, size, some

log = logging.getLogger("retake")
R = TypeVar("R", bound=Record)

NUM_TRIES = 5
LATEST = "latest"
WIDTH = 100
INDENT = 13
NUM_VERSIONS, NUM_DATASETS = 5, 3


def read_status(store: Store, store_uri: str, model_name: str) -> LoopStatus:
    """Read all parts of the summary, each as `read_known` does."""
    at = Layout(store_uri).status
    model = at.of_model(model_name)
    return LoopStatus(
        store=store_uri,
        model_name=model_name,
        films=read_known(store, at.films),
        labels=read_known(store, at.labels),
        dataset=read_known(store, at.dataset),
        training=read_known(store, model.training),
        model=read_known(store, model.model),
        predictions=read_known(store, at.predictions),
        space=read_known(store, at.space),
    )


def model_names(store: Store, store_uri: str) -> tuple[str, ...]:
    """List the models that were planned or decided on."""
    return tuple(map(last_name, store.folders(Layout(store_uri).status.models)))


def main_model(store: Store, store_uri: str, names: Sequence[str] | None = None) -> str:
    """Choose the model shown by default: the default name's, else the last one decided on.

    `names` are those of `model_names`, listed here if None. Without any model the result is empty.
    """
    names, default = model_names(store, store_uri) if names is None else names, RegisterOptions().model_name
    if default in names or len(names) < 2:
        return default if default in names else next(iter(names), "")
    models = Layout(store_uri).status
    decided = {name: known.at if (known := read_known(store, models.of_model(name).model)) else "" for name in names}
    return max(names, key=lambda name: decided[name])


def read_known(store: Store, place: Stored[R]) -> R | None:
    """Read a record; None if it is missing, or another version wrote it."""
    try:
        return store.read(place)
    except BadInput:
        return None


def keep(store: Store, place: Stored[R], make: Callable[[R | None], R | None]) -> None:
    """Write a part of the summary, made from the earlier one.

    If `make` gives None, or a part that differs in its time alone, the earlier part stays. Of two steps at once the last writer wins: it
    makes its part anew from the other's part, and each part is complete by itself. Whatever fails here is only logged, because no step may
    fail, or end otherwise, for its summary.
    """
    try:
        for _ in range(NUM_TRIES):
            listed_now = store.stat(place.uri)
            earlier = read_known(store, place) if listed_now else None
            part = make(earlier)
            if part is None or (earlier and _but_time(part) == _but_time(earlier)):
                return
            if store.replace_bytes(place.uri, to_json(part), listed_now):
                return
        log.warning("the summary keeps its earlier %s: other steps keep writing it", place.uri)
    except Exception as error:  # noqa: BLE001 - a summary is worth less than the step
        log.warning("the summary keeps its earlier %s: %s: %s", place.uri, type(error).__name__, error)


def find_manifest(store: Store, store_uri: str, name: str) -> tuple[str, Manifest]:
    """Find the digest and manifest of a dataset by a digest's beginning, or `latest`.

    Raises:
        BadInput: there is none, or several begin so.
    """
    layout = Layout(store_uri)
    if name == LATEST:
        digests = [store.read(layout.latest_dataset).digest] if store.exists(layout.latest_dataset.uri) else []
    else:
        digests = [digest for digest in map(last_name, store.folders(layout.latest_dataset.folder_uri)) if name and digest.startswith(name)]
    if len(digests) != 1:
        choice = f"these begin so: {some(digests)}" if digests else "`python -m tasks status` names those that there are"
        raise BadInput(f"{store_uri} has {'no' if not digests else 'more than one'} dataset {name}; {choice}")
    try:
        return digests[0], store.read(layout.dataset(digests[0]).manifest)
    except MissingObject:
        raise BadInput(f"dataset {digests[0]} has no manifest in {store_uri}, so it was not finished, or it was deleted") from None


def _but_time(part: Record) -> dict[str, object]:
    return part.model_dump(exclude={"at"})


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
    for title, step, lines in (
        ("Videos", "summarise", status.films and _videos(status.films)),
        ("Labels", "label", status.labels and _labels(status.labels)),
        ("Dataset", "dataset", status.dataset and _dataset(status.dataset)),
        ("Training", "plan", status.training and _training(status.training)),
        ("Champion", "decide", status.model and _model(status.model)),
    ):
        yield title, list(lines) if lines else [f"appears with the next run of the step {step}"]
    yield "Predictions", [_prediction(known) for known in status.predictions.predictions] if status.predictions else ["none yet"]
    if status.space:
        freed = f"clean_up {'would delete' if status.space.is_dry_run else 'deleted'} {size(status.space.freed_bytes)}"
        yield "Space", [f"{size(status.space.store_bytes)} in the store at {moment(status.space.at)}; {freed}"]


def _videos(videos: VideosStatus) -> Iterator[str]:
    new = f"; {videos.num_new:,} new at {moment(videos.new_at)}" if videos.new_at and videos.num_new else ""
    yield f"{count(videos.num_videos, 'video')}; {count(videos.num_clips, 'clip')} in the latest ingest{new}"
    if videos.num_set_aside:
        yield f"{count(videos.num_set_aside, 'file')} set aside: {'; '.join(f'{bad.name}: {bad.reason}' for bad in videos.first_set_aside)}"


def _labels(labels: LabelsStatus) -> Iterator[str]:
    share = f" ({percent(labels.num_labelled / labels.num_clips)})" if labels.num_clips else ""
    yield f"{labels.num_labelled:,} of {count(labels.num_clips, 'clip')}{share}; {count(labels.num_problems, 'rejected line')}"
    if labels.by_origin:
        yield listed([f"{origin.num_clips:,} by {origin.kind} {origin.name}" for origin in labels.by_origin])
    yield labels.agreement or "No second reader yet: invite somebody to the page Label."


def _dataset(dataset: DatasetStatus) -> Iterator[str]:
    splits = [f"{split.split} {count(split.num_clips, 'clip')} of {count(split.num_sources, 'source video')}" for split in dataset.splits]
    yield f"{dataset.digest} of {moment(dataset.at)}: {', '.join(splits)}"
    if dataset.change:
        yield change_in_words(dataset.change)
    yield from dataset.warnings
    if before := dataset.datasets[1 : 1 + NUM_DATASETS]:
        yield f"before: {listed([f'{kept.digest} ({moment(kept.at)})' for kept in before])}"


def _training(training: TrainingStatus) -> Iterator[str]:
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
    videos = f"{count(known.num_videos, 'video')}, {count(known.num_clips, 'clip')}, {percent(known.unsure_share)} unsure"
    return f"{moment(known.at)}: {videos}, by {known.model}{f'; {known.unlike}' if known.unlike else ''}"
