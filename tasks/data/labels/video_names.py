"""Name the videos of a store for other tools, so that labels and predictions that are handed out name them alike."""

import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from pathlib import PurePosixPath

from tasks.store.records.dataset import DatasetClip
from tasks.store.records.metrics import NamedClip
from tasks.store.records.video import VideoRecord


def video_names(videos: Iterable[VideoRecord | DatasetClip]) -> dict[str, str]:
    """Name each video by its file, by its path if another file has the same name, or by its hash if the path does not tell it apart either.

    The names are unique without their extensions, too. That of a prediction (`name_without_label`) is taken if there is no other.
    """
    names_of = {video.video: video.names for video in videos}
    files = Counter(_stem(name) for names in names_of.values() for name in names)
    paths = Counter(without_extension(_path(name)).casefold() for names in names_of.values() for name in names)
    named = {}
    for video, names in names_of.items():
        path = _path(min(names, key=lambda name: (PurePosixPath(name).stem.endswith(_mark(video)), name)))
        is_only = paths[without_extension(path).casefold()] == 1
        named[video] = PurePosixPath(path).name if files[_stem(path)] == 1 else path if is_only else video
    return named


def named_clips(clips: Sequence[DatasetClip], uids: Collection[str]) -> tuple[NamedClip, ...]:
    """Name the clips of these uids by film and time, in the order of `clips`."""
    files = video_names(clips)
    return tuple(
        NamedClip(uid=clip.uid, file=files[clip.video], start_seconds=clip.start_seconds, stop_seconds=clip.stop_seconds)
        for clip in clips
        if clip.uid in uids
    )


def name_without_label(name: str, video: str) -> str:
    """Rename `take/bag/a.mp4` to `a-0123456789ab.mp4`, which annotations of `a.mp4`, `a` or `bag/a.mp4` do not match."""
    # Labels treat backslashes as separators, too.
    path = PurePosixPath(name.replace("\\", "/"))
    return f"{path.stem}{_mark(video)}{path.suffix}"


def _mark(video: str) -> str:
    return f"-{video[:12]}"


def without_extension(name: str) -> str:
    """Return such a name as data sets of videos have it."""
    return name if "/" in name else PurePosixPath(name).stem


def _path(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _stem(name: str) -> str:
    return PurePosixPath(_path(name)).stem.casefold()
