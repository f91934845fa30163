"""Write a dataset's manifest and a CSV per split, and count clips, sources and classes."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import product
from typing import Final

from tasks.data.split.split import SplitAssignment
from tasks.errors import BadDataset
from tasks.keys import content_key, without_later
from tasks.options import SegmentOptions, SplitOptions
from tasks.store.records.dataset import (
    NOTHING,
    ClassRef,
    DatasetClip,
    LabelledClip,
    LabelsFile,
    Manifest,
    SharedRecording,
    UnseenClip,
    Vocabulary,
)
from tasks.store.records.metrics import LabelCount, SplitSize
from tasks.store.records.record import SPLITS, SplitName, Target
from tasks.store.records.video import ClipRecord, Interval
from tasks.wording import csv_table, plain_count, some

NOTES: Final = dict.fromkeys(
    ("agreement", "without_clip", "unseen", "drawn", "accepted", "chosen", "shared_recordings", "web_pages"), True
) | {"clips": {"__all__": {"groups"}}}
"""Fields of a manifest that train nothing."""
CSV_COLUMNS = ("uid", "verb", "noun", "action", "verb_class", "noun_class")


def build_manifest(labels: LabelsFile, assignment: SplitAssignment, options: SplitOptions) -> Manifest:
    """Collect all labelled clips that are not excluded, with their splits, sorted by uid."""
    usable = usable_clips(labels, assignment)
    fields = set(DatasetClip.model_fields)
    known = [clip.clip.model_dump(include=fields) | clip.model_dump(include=fields) for clip in usable]
    clips = sorted((DatasetClip(**each, split=assignment.split_by_source[each["source"]]) for each in known), key=lambda clip: clip.uid)
    accepted, chosen = set(labels.accepted or ()), set(labels.chosen)
    videos = {clip.video for clip in clips}
    return Manifest(
        recipe=labels.recipe,
        segment=labels.segment,
        label=labels.options,
        split=options.model_copy(update={"test_share": assignment.test_share}),
        vocabulary=Vocabulary(
            verbs=_used(labels.vocabulary.verbs, {clip.verb_class for clip in clips}),
            nouns=_used(labels.vocabulary.nouns, {clip.noun_class for clip in clips}),
        ),
        clips=tuple(clips),
        excluded=assignment.excluded,
        warnings=assignment.warnings,
        agreement=labels.agreement,
        without_clip=labels.without_clip,
        unseen=_unseen(labels, assignment, {clip.action for clip in clips if clip.split == "train"}),
        drawn=tuple(sorted({clip.source for clip in clips if clip.video in assignment.drawn})),
        accepted=None if labels.accepted is None else tuple(clip.uid for clip in clips if clip.uid in accepted),
        chosen=tuple(clip.uid for clip in clips if clip.video in chosen),
        shared_recordings=shared_recordings(labels, assignment),
        web_pages={video: page for video, page in labels.web_pages.items() if video in videos},
    )


def _unseen(labels: LabelsFile, assignment: SplitAssignment, train_actions: Collection[str]) -> tuple[UnseenClip, ...]:
    """List the clips that are left out because train does not show their action."""
    excluded, splits = {bad.name for bad in assignment.excluded}, assignment.split_by_source
    return tuple(
        UnseenClip(uid=clip.clip.uid, split=splits[clip.source], source=clip.source, action=clip.action)
        for clip in sorted(labels.clips, key=lambda clip: clip.clip.uid)
        if clip.action
        and clip.verb != NOTHING
        and clip.action not in train_actions
        and clip.clip.uid in excluded
        and assignment.split_by_video[clip.clip.video] == splits[clip.source]
        and is_counted(labels.segment, clip.clip.around, splits[clip.source])
    )


def shared_recordings(labels: LabelsFile, assignment: SplitAssignment) -> tuple[SharedRecording, ...]:
    """List the recordings that val and test share with earlier splits, by split and name."""
    excluded = {bad.name for bad in assignment.excluded}
    recording_of = {video: recording.name for recording in labels.recordings for video in recording.videos}
    num_clips: defaultdict[str, Counter[SplitName]] = defaultdict(Counter)
    for clip in labels.clips:
        if clip.action and clip.clip.video in recording_of and clip.clip.uid not in excluded:
            num_clips[recording_of[clip.clip.video]][assignment.split_by_source[clip.source]] += 1
    return tuple(
        SharedRecording(name=name, split=split, num_clips=number[split])
        for split in SPLITS[1:]
        for name, number in sorted(num_clips.items())
        if number[split] and any(number[earlier] for earlier in SPLITS[: SPLITS.index(split)])
    )


def shared_in_words(recordings: Sequence[SharedRecording]) -> tuple[str, ...]:
    """Say how many clips of val and test come from earlier splits' recordings."""
    lines = []
    for split in SPLITS[1:]:
        own = [recording for recording in recordings if recording.split == split]
        if own:
            number = sum(recording.num_clips for recording in own)
            names = some([f"{recording.name} ({recording.num_clips})" for recording in own])
            come = "comes" if number == 1 else "come"
            earlier = " or ".join(SPLITS[: SPLITS.index(split)])
            lines.append(f"{plain_count(number, 'clip')} of {split} {come} from recordings that {earlier} has, too: {names}")
    return tuple(lines)


def usable_clips(labels: LabelsFile, assignment: SplitAssignment) -> list[LabelledClip]:
    """List the labelled clips that are not excluded and count in their split.

    Raises:
        BadDataset: val has none.
    """
    excluded, splits = {bad.name for bad in assignment.excluded}, assignment.split_by_source
    chosen = (clip for clip in labels.clips if clip.action and clip.clip.uid not in excluded)
    kept = [clip for clip in chosen if is_counted(labels.segment, clip.clip.around, splits[clip.source])]
    if not any(splits[clip.source] == "val" for clip in kept):
        raise BadDataset("no clip of the grid is labelled in val: lower min_overlap, or choose cut=intervals")
    return kept


def unlabelled_clips(labels: LabelsFile, kept: Mapping[str, SplitName], clips: Iterable[DatasetClip]) -> list[ClipRecord]:
    """Select unlabelled clips that share no video, source or recording with val or test.

    `kept` has the remembered splits of sources by name and of videos by hash; `clips` are those of the dataset.
    """
    held_out = {name for name, split in kept.items() if split != "train"}
    held_out |= {name for clip in clips if clip.split != "train" for name in (clip.video, clip.source)}
    # Repeated until nothing is added: a source may lead to a recording, and that to another source.
    groups = [{clip.source, clip.clip.video, clip.clip.next_video or clip.clip.video} for clip in labels.clips]
    groups += [set(recording.videos) for recording in labels.recordings]
    while more := {name for group in groups if group & held_out for name in group} - held_out:
        held_out |= more
    known = {clip.uid for clip in clips}
    return [clip.clip for clip in labels.clips if clip.action is None and clip.clip.uid not in known and clip.clip.video not in held_out]


def is_counted(segment: SegmentOptions, around: Interval | None, split: SplitName) -> bool:
    """Check whether a clip counts in its split."""
    # Of grid and intervals, val and test have the grid alone, as a prediction has.
    return segment.cut != "both" or around is None or split == "train"


def dataset_digest(manifest: Manifest) -> str:
    """Hash the manifest, with its clips' content hashes but without `NOTES`, to 16 hex digits."""
    written = manifest.model_dump(mode="json", exclude=NOTES)
    options = {name: without_later(written[name], type(getattr(manifest, name))) for name in ("segment", "label", "split")}
    return content_key(written | options)


def same_clips(manifest: Manifest, other: Manifest) -> bool:
    """Check whether two datasets differ at most in split options, warnings and notes."""
    left_out = NOTES | {"split": True, "warnings": True}
    return manifest.model_dump(exclude=left_out) == other.model_dump(exclude=left_out)


def split_csv(manifest: Manifest, split: SplitName) -> bytes:
    """Write `train.csv`, `val.csv` or `test.csv`: `CSV_COLUMNS`, one line per clip."""
    return csv_table(CSV_COLUMNS, split_rows(manifest, split))


def split_rows(manifest: Manifest, split: SplitName) -> list[dict[str, object]]:
    """List the clips of a split by `CSV_COLUMNS`."""
    return [{column: getattr(clip, column) for column in CSV_COLUMNS} for clip in manifest.clips if clip.split == split]


def _used(classes: Iterable[ClassRef], ids: set[int]) -> tuple[ClassRef, ...]:
    return tuple(ref for ref in classes if ref.id in ids)


def num_clips(manifest: Manifest) -> dict[SplitName, int]:
    """Count clips per split."""
    counted = Counter(clip.split for clip in manifest.clips)
    return {split: counted[split] for split in SPLITS}


def num_sources(manifest: Manifest, *, acting: bool = False) -> dict[SplitName, int]:
    """Count source videos per split; if `acting`, those where something happens."""
    counted = Counter(split for split, _ in {(clip.split, clip.source) for clip in manifest.clips if clip.has_action or not acting})
    return {split: counted[split] for split in SPLITS}


def class_counts(manifest: Manifest, target: Target) -> dict[str, dict[SplitName, int]]:
    """Count clips per class and split, largest class first."""
    total = Counter(str(getattr(clip, target)) for clip in manifest.clips)
    by_split = Counter((getattr(clip, target), clip.split) for clip in manifest.clips)
    return {name: {split: by_split[name, split] for split in SPLITS} for name, _ in _most_frequent_first(total)}


def num_classes(manifest: Manifest) -> dict[Target, int]:
    """Count classes of actions per target, over all splits."""
    acting = [clip for clip in manifest.clips if clip.has_action]
    return {target: len({getattr(clip, target) for clip in acting}) for target in manifest.vocabulary.targets}


def num_nothing(manifest: Manifest) -> dict[SplitName, int]:
    """Count the clips in which nothing happens per split; empty if there are none."""
    counted = Counter(clip.split for clip in manifest.clips if not clip.has_action)
    return {split: counted[split] for split in SPLITS} if counted else {}


def split_sizes(clips: Sequence[DatasetClip]) -> tuple[SplitSize, ...]:
    """Count clips, source videos and classes of actions of each non-empty split, in order."""
    clips_of_split = ((split, [clip for clip in clips if clip.split == split]) for split in SPLITS)
    return tuple(
        SplitSize(
            split=split,
            num_clips=len(own),
            num_sources=len({clip.source for clip in own}),
            num_verbs=len({clip.verb_class for clip in own if clip.has_action}),
            num_nouns=len({clip.noun_class for clip in own if clip.has_action}),
            num_actions=len({(clip.verb_class, clip.noun_class) for clip in own if clip.has_action}),
            num_nothing=sum(not clip.has_action for clip in own),
        )
        for split, own in clips_of_split
        if own
    )


def label_counts(clips: Sequence[DatasetClip], targets: Iterable[Target]) -> tuple[LabelCount, ...]:
    """Count the clips per target, split and class that a split has, most frequent first."""
    counts = []
    for target, split in product(targets, SPLITS):
        own = [(getattr(clip, target), clip.source) for clip in clips if clip.split == split]
        num_sources = Counter(name for name, _ in set(own))
        counts += [
            LabelCount(target=target, split=split, name=name, num_clips=number, num_sources=num_sources[name])
            for name, number in _most_frequent_first(Counter(name for name, _ in own))
        ]
    return tuple(counts)


def _most_frequent_first(counter: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counter.items(), key=lambda pair: (-pair[1], pair[0]))
