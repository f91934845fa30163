"""Resolve names in annotations to clips and videos.

A clip is named by uid, a video by content hash, path or file name.
"""

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
"""Maximum number of rejected lines that suggest similar names. Comparing with thousands of names is slow."""


class Places:
    """Find videos and clips by the names people use.

    Full relative paths take precedence over path endings, and exact names over names without extension or in other case.
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
        """Find the clip with this uid, if any."""
        return self._clip_by_uid.get(uid)

    def clips(self, video: str) -> list[ClipRecord]:
        """List the clips of a video by time; `video` is a content hash from `video()`."""
        return self._clips_by_video[video]

    def video(self, name: str) -> str:
        """Resolve `name` to the content hash of a video.

        Raises:
            ValueError: it matches no video, several, or one without clips; the message says what to write.
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
            raise ValueError(f"{quoted(name)} was ingested but has no clips: it is too short or was set aside")
        return video

    def _by_spelling(self, name: str) -> str:
        for spelling, tier in zip([_slashed(name), *[_folded(name)] * 4], self._tiers, strict=True):
            found = tier.get(spelling, set())
            if len(found) > 1:
                paths = [quoted(path) for path in sorted(min(self._names[video]) for video in found)]
                raise ValueError(f"{quoted(name)} matches {len(found)} videos: {some(paths)}; write more of the path")
            if found:
                return next(iter(found))
        if (uid := UID.fullmatch(name)) and (own := self._video_by_start.get(uid[1])):
            raise ValueError(
                f"{quoted(name)} is not a clip of {quoted(min(self._names[own]))} under the current cutting options; "
                "label that time by video,start_seconds,stop_seconds,verb,noun"
            )
        raise ValueError(f"{quoted(name)} matches no ingested video{self._near(name)}")

    def _near(self, name: str) -> str:
        if self._num_near_left <= 0:
            return ""
        self._num_near_left -= 1
        return near(PurePosixPath(_slashed(name)).name, self._file_names)


def _spellings(name: str) -> Iterator[tuple[int, str]]:
    """Yield all spellings of a video's name with their tiers; lower tiers take precedence."""
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
