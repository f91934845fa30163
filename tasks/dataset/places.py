"""What an annotation's name means: a clip by its uid, or a video by its content, its path or its file name."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

from tasks.results.video import ClipRecord
from tasks.wording import near, quoted, some

EXTENSION = re.compile(r"(?<=[^/])\.[^./]+$")
UID = re.compile(r"([0-9a-f]{12})_[0-9]+(-[0-9]+)?")
MAX_NEAR_MATCHES = 20
"""Resemblance to thousands of names is slow to judge; this many refused lines get it."""


class Places:
    """Finds videos and clips by what people call them.

    A whole relative path goes before its end, an exact name before one without its extension or in other case.
    """

    def __init__(self, clips: Sequence[ClipRecord], names: Mapping[str, Sequence[str]]) -> None:
        self._clip_by_uid = {clip.uid: clip for clip in clips}
        self._clips_by_video: defaultdict[str, list[ClipRecord]] = defaultdict(list)
        for clip in sorted(clips, key=lambda clip: clip.start_seconds):
            self._clips_by_video[clip.video].append(clip)
        self._names = names
        self._video_by_start = {video[:12]: video for video in names}
        self._file_names = sorted({PurePosixPath(name).name for own in names.values() for name in own})
        self._found: dict[str, tuple[str, str]] = {}
        self._num_near_left = MAX_NEAR_MATCHES
        self._tiers: list[defaultdict[str, set[str]]] = [defaultdict(set) for _ in range(5)]
        for video, own in names.items():
            for name in own:
                for tier, spelling in _spellings(name):
                    self._tiers[tier][spelling].add(video)

    def clip(self, uid: str) -> ClipRecord | None:
        """The clip of this uid, if it is one."""
        return self._clip_by_uid.get(uid)

    def clips(self, video: str) -> list[ClipRecord]:
        """The clips of a video, by time; `video` is a content hash that `video` below gave."""
        return self._clips_by_video[video]

    def video(self, name: str) -> str:
        """The content hash of the video that `name` means.

        Raises:
            ValueError: it fits no video, or two, or one without clips; the message says what to write.
        """
        if name not in self._found:
            try:
                self._found[name] = name if name in self._names else self._by_spelling(name), ""
            except ValueError as error:
                self._found[name] = "", str(error)
        video, reason = self._found[name]
        if reason:
            raise ValueError(reason)
        if video not in self._clips_by_video:
            raise ValueError(f"{quoted(name)} was taken in, but no clip was cut from it: it is too short or was set aside")
        return video

    def _by_spelling(self, name: str) -> str:
        for spelling, tier in zip([_slashed(name), *[_folded(name)] * 4], self._tiers, strict=True):
            found = tier.get(spelling, set())
            if len(found) > 1:
                paths = [quoted(path) for path in sorted(min(self._names[video]) for video in found)]
                raise ValueError(f"{quoted(name)} fits {len(found)} videos: {some(paths)}; write the path that sets them apart")
            if found:
                return next(iter(found))
        if (uid := UID.fullmatch(name)) and (own := self._video_by_start.get(uid[1])):
            raise ValueError(
                f"{quoted(name)} is no clip of {quoted(min(self._names[own]))} as it is cut now; "
                "label that time by video,start_seconds,stop_seconds,verb,noun"
            )
        raise ValueError(f"{quoted(name)} fits no video that was taken in{self._near(name)}")

    def _near(self, name: str) -> str:
        if self._num_near_left <= 0:
            return ""
        self._num_near_left -= 1
        return near(PurePosixPath(_slashed(name)).name, self._file_names)


def _spellings(name: str) -> Iterator[tuple[int, str]]:
    """Every way to write a video's name, each with its tier: the lower, the surer."""
    yield 0, _slashed(name)
    parts = _folded(name).split("/")
    for depth in range(len(parts)):
        end = "/".join(parts[depth:])
        yield (1 if depth == 0 else 3), end
        yield (2 if depth == 0 else 4), EXTENSION.sub("", end)


def _slashed(name: str) -> str:
    return str(PurePosixPath(unicodedata.normalize("NFC", name.replace("\\", "/")).strip()))


def _folded(name: str) -> str:
    return _slashed(name).casefold()
