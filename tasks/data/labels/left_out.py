"""List unlabelled clips, one line per folder."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

from tasks.data.labels.folder_labels import folders_of
from tasks.store.records.dataset import LabelledClip
from tasks.store.records.record import SetAside
from tasks.wording import plain_count, printable, quoted, some


def left_out(clips: Sequence[LabelledClip], reason_by_video: Mapping[str, str]) -> tuple[SetAside, ...]:
    """List clips without a label and the reasons, by folder.

    Clips of partly labelled videos are one item.
    """
    in_part = {clip.clip.video for clip in clips if clip.action}
    num_between = Counter(clip.clip.video for clip in clips if not clip.action and clip.clip.video in in_part)
    num_clips: Counter[tuple[str, str]] = Counter()
    videos: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for clip in clips:
        if clip.clip.video not in in_part:
            place = "/".join(folders_of(min(clip.names))), reason_by_video.get(clip.clip.video, "")
            num_clips[place] += 1
            videos[place].add(PurePosixPath(min(clip.names).replace("\\", "/")).name)
    told = []
    for (folder, reason), number in sorted(num_clips.items()):
        names = sorted(videos[folder, reason])
        if folder:
            told.append(
                SetAside(
                    name=f"{printable(folder)}/", reason=f"{plain_count(number, 'clip')} of {plain_count(len(names), 'video')}: {reason}"
                )
            )
        else:
            told.append(SetAside(name="videos in no folder", reason=f"{plain_count(number, 'clip')} of {some(list(map(quoted, names)))}"))
    if num_between:
        about = f"{plain_count(num_between.total(), 'clip')} of {plain_count(len(num_between), 'video')}"
        told.append(SetAside(name="partly labelled videos", reason=f"{about}: no line of an annotation file covers enough of them"))
    return tuple(told)
