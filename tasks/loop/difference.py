"""Compare two datasets, and say so in plain text: videos, clips, labels, classes and splits."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from tasks.data.labels.video_names import video_names
from tasks.store.records.dataset import DatasetClip, Manifest
from tasks.store.records.record import SPLITS
from tasks.store.records.status import DatasetChange, Difference, DifferentClip, DifferentVideo, DiffResult, SplitChange
from tasks.wording import count, listed, stretch


def difference(before: Manifest, after: Manifest) -> Difference:
    """List how two datasets differ in videos, clips by their uids, labels and splits."""
    names = video_names((*before.clips, *after.clips))
    old, new = ({clip.uid: clip for clip in manifest.clips} for manifest in (before, after))
    both = [(old[uid], clip) for uid, clip in new.items() if uid in old]

    def row(clip: DatasetClip, was: str, now: str) -> DifferentClip:
        shown = clip.model_dump(include={"uid", "start_seconds", "stop_seconds"})
        return DifferentClip(**shown, name=names[clip.video], before=was, after=now)

    return Difference(
        videos_added=_videos_lacking(before, after.clips, names),
        videos_removed=_videos_lacking(after, before.clips, names),
        clips_added=_by_time(row(clip, "", clip.action) for uid, clip in new.items() if uid not in old),
        clips_removed=_by_time(row(clip, clip.action, "") for uid, clip in old.items() if uid not in new),
        relabelled=_by_time(row(now, was.action, now.action) for was, now in both if was.action != now.action),
        moved=_by_time(row(now, was.split, now.split) for was, now in both if was.split != now.split),
        classes_added=tuple(sorted(_actions(after) - _actions(before))),
        classes_removed=tuple(sorted(_actions(before) - _actions(after))),
        splits=tuple(SplitChange(split=split, before=_num_clips(before, split), after=_num_clips(after, split)) for split in SPLITS),
    )


def change_of(digest: str, lists: Difference) -> DatasetChange:
    """Count the differences from the dataset of this digest."""
    return DatasetChange(
        before=digest,
        num_videos_added=len(lists.videos_added),
        num_videos_removed=len(lists.videos_removed),
        num_clips_added=len(lists.clips_added),
        num_clips_removed=len(lists.clips_removed),
        num_relabelled=len(lists.relabelled),
        num_moved=len(lists.moved),
        classes_added=lists.classes_added,
        classes_removed=lists.classes_removed,
    )


def change_in_words(change: DatasetChange) -> str:
    """Say in numbers how a dataset differs from the one before."""
    parts = [
        f"{count(change.num_videos_added, 'video')} and {count(change.num_clips_added, 'clip')} more",
        f"{count(change.num_videos_removed, 'video')} and {count(change.num_clips_removed, 'clip')} fewer",
        f"{count(change.num_relabelled, 'clip')} relabelled",
        f"{count(change.num_moved, 'clip')} in another split",
        *([f"new classes {listed(list(change.classes_added))}"] if change.classes_added else []),
        *([f"without the classes {listed(list(change.classes_removed))}"] if change.classes_removed else []),
    ]
    return f"since {change.before}: {', '.join(parts)}"


def lines_of_difference(result: DiffResult) -> Iterator[str]:
    """Yield all differences of two datasets."""
    lists = result.difference
    splits = ", ".join(f"{split.split} {split.before:,} to {split.after:,}" for split in lists.splits)
    yield f"From dataset {result.before} to {result.after}; clips: {splits}"
    for title, videos in (("added", lists.videos_added), ("removed", lists.videos_removed)):
        yield from _titled("video", title, [f"{video.name}: {count(video.num_clips, 'clip')}" for video in videos])
    for title, clips in (
        ("added", lists.clips_added),
        ("removed", lists.clips_removed),
        ("relabelled", lists.relabelled),
        ("in another split", lists.moved),
    ):
        yield from _titled("clip", title, [_clip(clip) for clip in clips])
    for title, classes in (("added", lists.classes_added), ("removed", lists.classes_removed)):
        yield from _titled("class", title, classes)


def _videos_lacking(manifest: Manifest, clips: Iterable[DatasetClip], names: dict[str, str]) -> tuple[DifferentVideo, ...]:
    """List the videos of `clips` that a dataset lacks."""
    known = {clip.video for clip in manifest.clips}
    counted = Counter(clip.video for clip in clips if clip.video not in known)
    rows = (DifferentVideo(name=names[video], video=video, num_clips=number) for video, number in counted.items())
    return tuple(sorted(rows, key=lambda row: (row.name, row.video)))


def _by_time(rows: Iterable[DifferentClip]) -> tuple[DifferentClip, ...]:
    return tuple(sorted(rows, key=lambda row: (row.name, row.start_seconds, row.uid)))


def _actions(manifest: Manifest) -> set[str]:
    return {clip.action for clip in manifest.clips}


def _num_clips(manifest: Manifest, split: str) -> int:
    return sum(clip.split == split for clip in manifest.clips)


def _clip(clip: DifferentClip) -> str:
    return f"{clip.name} {stretch(clip.start_seconds, clip.stop_seconds)}: {' to '.join(filter(None, (clip.before, clip.after)))}"


def _titled(noun: str, title: str, lines: Sequence[str]) -> Iterator[str]:
    if lines:
        yield f"{count(len(lines), noun)} {title}"
        yield from (f"  {line}" for line in lines)
