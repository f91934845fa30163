"""Deal source videos to train, val and test; a video never changes its split."""

from collections import Counter
from collections.abc import Mapping

from tasks.data.split.manifest import shared_in_words, shared_recordings, usable_clips
from tasks.data.split.split import SplitAssignment, assign_splits, keep_places, no_label, read_drawn, read_split_csv, write_split_csv
from tasks.errors import NothingToDo, Unavailable
from tasks.options import SplitOptions
from tasks.pipeline._results import finish, log
from tasks.pipeline.build_dataset.contract import SPLIT, SplitArguments
from tasks.store.derived import taught_run
from tasks.store.layout import Labels, Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import LabelledClip, LabelsFile, SplitResult
from tasks.store.records.record import SPLITS, SplitName
from tasks.store.records.training import UnlabelledClips

MAX_TRIES = 10


def run(arguments: SplitArguments, store: Store) -> SplitResult:
    """Assign sources without a split, and remember the split of every source and video.

    Raises:
        BadDataset: the labels cannot make a train and a val set.
        NothingToDo: no clip has a label.
        Unavailable: other runs change the splits all the time.
    """
    labels = store.read(store.read(Labels(arguments.labels)).labels_uri, LabelsFile)
    if not any(clip.action for clip in labels.clips):
        raise NothingToDo(no_label(len(labels.clips)))
    assignment, used, shared = _remembered(labels, arguments.picked(SplitOptions), arguments.store, store)
    splits = assignment.split_by_source
    num_clips = Counter(splits[clip.source] for clip in used)
    num_sources = Counter(splits[source] for source in {clip.source for clip in used})
    warnings = (*assignment.warnings, *shared)
    for warning in warnings:
        log.warning(warning)
    for split in SPLITS:
        log.info("%s: %d clips of %d sources", split, num_clips[split], num_sources[split])
    result = SplitResult(
        split_file_uri=Layout(arguments.store).split_file,
        num_clips={split: num_clips[split] for split in SPLITS},
        num_sources={split: num_sources[split] for split in SPLITS},
        warnings=warnings,
    )
    return finish(store, SPLIT.address(arguments), result)


def _remembered(
    labels: LabelsFile, options: SplitOptions, store_uri: str, store: Store
) -> tuple[SplitAssignment, list[LabelledClip], tuple[str, ...]]:
    """Assign splits and add them to the file; assign anew if another run changed it.

    Also returns the clips in use, and warnings of recordings in two splits.
    """
    uri = Layout(store_uri).split_file
    for _ in range(MAX_TRIES):
        # The object before its content: a write in between makes this one fail.
        earlier = store.stat(uri)
        content = store.read_bytes(uri) if earlier else b""
        kept, drawn = (read_split_csv(content), read_drawn(content)) if earlier else ({}, frozenset[str]())
        labels = keep_places(labels, kept)
        assigned = _students(labels, kept, store_uri, store) | kept
        assignment = assign_splits(labels.clips, assigned, options, drawn, labels.chosen)
        used = usable_clips(labels, assignment)
        is_known = assignment.remembered.keys() <= kept.keys()
        if is_known or store.replace_bytes(uri, write_split_csv(kept, assignment.remembered, drawn | assignment.drawn), earlier):
            return assignment, used, shared_in_words(shared_recordings(labels, assignment))
    raise Unavailable(f"{uri} was changed by another run at each of {MAX_TRIES} tries; try again")


def _students(labels: LabelsFile, kept: Mapping[str, SplitName], store_uri: str, store: Store) -> dict[str, SplitName]:
    """Deal new videos to train if their source taught a student without a label."""
    new = [clip for clip in labels.clips if clip.action and clip.clip.video not in kept]
    if not new:
        return {}
    lists = [listed.uri for listed in store.list(Layout(store_uri).runs) if taught_run(listed.uri)]
    taught = {video for uri in lists for clip in store.read(uri, UnlabelledClips).clips for video in (clip.video, clip.next_video)}
    sources = {clip.source for clip in labels.clips if clip.clip.video in taught} - kept.keys()
    return {clip.clip.video: "train" for clip in new if clip.clip.video in taught or clip.source in sources}
