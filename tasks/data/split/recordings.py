"""Keep the places of videos whose recording lies in two splits, and list recordings that a split shares with an earlier one."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from tasks.data.split.split import SplitAssignment
from tasks.store.records.dataset import LabelsFile, Recording, SharedRecording
from tasks.store.records.record import SPLITS, SplitName
from tasks.wording import plain_count, some


def keep_places(labels: LabelsFile, kept: Mapping[str, SplitName]) -> LabelsFile:
    """Divide the source of each recording whose videos were dealt to several splits, so that none of them moves or is left out.

    The videos of a split have the first of them as their source. Videos that were not dealt go with those of train, else of val.
    `kept` has the splits of videos by hash.
    """
    source_by_video: dict[str, str] = {}
    for recording in labels.recordings:
        splits = {kept[video] for video in recording.videos if video in kept}
        if len(splits) > 1:
            source_by_video |= _sources(recording, kept, min(splits, key=SPLITS.index))
    clips = tuple(
        clip.model_copy(update={"source": source_by_video[clip.clip.video]}) if clip.clip.video in source_by_video else clip
        for clip in labels.clips
    )
    return labels.model_copy(update={"clips": clips})


def _sources(recording: Recording, kept: Mapping[str, SplitName], split_of_new: SplitName) -> dict[str, str]:
    first: dict[SplitName, str] = {}
    for video in recording.videos:
        if video in kept:
            first.setdefault(kept[video], video)
    return {video: first[kept.get(video, split_of_new)] for video in recording.videos}


def shared_recordings(labels: LabelsFile, assignment: SplitAssignment) -> tuple[SharedRecording, ...]:
    """List the recordings that val shares with train, and test with train or val, by split and name."""
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
    """Say of val and of test how many clips come from recordings that an earlier split has, too."""
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
