"""Resolve names in annotations to clips and videos, and name videos for other tools.

A clip is named by uid, a video by content hash, path or file name.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from fnmatch import fnmatchcase
from functools import cached_property
from itertools import pairwise
from pathlib import PurePosixPath
from typing import NoReturn, Self
from urllib.parse import parse_qs, unquote, urlsplit

from tasks.data.labels.vocabulary import MAX_TEXT_LENGTH
from tasks.store.records.dataset import DatasetClip
from tasks.store.records.metrics import NamedClip
from tasks.store.records.video import ClipRecord, VideoRecord
from tasks.wording import near, quoted, some

EXTENSION = re.compile(r"(?<=[^/])\.[^./]+$")
UID = re.compile(r"([0-9a-f]{12})_[0-9]+(-[0-9]+)?")
PLAIN = re.compile(r"(?:[A-Za-z0-9_-]+/)*((?![0-9a-f]{8}-)[A-Za-z0-9_-]+(?:\.[A-Za-z0-9]+)?)")
"""A fast path for ids of videos; a data set may have a million."""

UPLOAD_FOLDER = re.compile(r"^/?data/upload/(?:[0-9]+/)?")
UPLOAD_PREFIX = re.compile(r"^[0-9a-f]{8}-(?=.)")
FILE_BEFORE_QUERY = re.compile(r".+?\.(?![0-9]+[?#])\w+(?=[?#])")
"""An ending stands before `?` or `#`: the start of `take #1.mp4` or `v1.2#3.mp4` could be the name of another video."""

MAX_FOLDERS = 50
MAX_REMEMBERED = 1 << 14
MAX_NEAR_MATCHES = 20
"""Rejected lines that suggest similar names; to compare thousands of names is slow."""


class VideoIndex:
    """Find videos and clips by the names people use.

    Full relative paths go before path endings, and exact names before names without extension or in other case.
    """

    def __init__(self, clips: Sequence[ClipRecord], names: Mapping[str, Sequence[str]]) -> None:
        self._clip_by_uid = {clip.uid: clip for clip in clips}
        self._clips_by_video: defaultdict[str, list[ClipRecord]] = defaultdict(list)
        for clip in sorted(clips, key=lambda clip: clip.start_seconds):
            self._clips_by_video[clip.video].append(clip)
        self._names = names
        self._video_by_start = {video[:12]: video for video in names}
        self._file_names = sorted({PurePosixPath(name).name for own in names.values() for name in own})
        self._remembered: dict[tuple[str, bool], tuple[str, str]] = {}
        # Shared with the indexes that `beside` makes.
        self._near_left = iter(range(MAX_NEAR_MATCHES))
        self._tiers: list[defaultdict[str, set[str]]] = [defaultdict(set) for _ in range(5)]
        for video, own in names.items():
            for name in own:
                for tier, spelling in _spellings(name):
                    self._tiers[tier][spelling].add(video)
        self._ends = {spelling.rpartition("/")[2] for tier in self._tiers for spelling in tier}
        self._beside: frozenset[str] = frozenset()

    def beside(self, videos: frozenset[str]) -> Self:
        """Return an index that prefers these content hashes where several videos have a name."""
        if videos == self._beside:
            return self
        index = copy(self)
        index._beside, index._remembered = videos, {}
        return index

    def clip(self, uid: str) -> ClipRecord | None:
        """Find the clip with this uid, if any."""
        return self._clip_by_uid.get(uid)

    def clips(self, video: str) -> list[ClipRecord]:
        """List the clips of a video by time; `video` is a content hash from `video()`."""
        return self._clips_by_video.get(video, [])

    def video(self, name: str, *, loosely: bool = False) -> str:
        """Resolve `name` to the content hash of a video.

        `loosely` also tries paths of other machines without their folders.

        Raises:
            ValueError: it matches no video, several, or one without clips; the message says what to write.
        """
        video = self.named(name, loosely=loosely)
        if video not in self._clips_by_video:
            raise ValueError(
                f"{quoted(name)} was ingested but has no clips: it is too short, was set aside, or none of its intervals is cut yet"
            )
        return video

    def named(self, name: str, *, loosely: bool = False) -> str:
        """Resolve `name` as `video()` does, to a video with or without clips."""
        key = name, loosely
        if key not in self._remembered:
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
            try:
                self._remembered[key] = self._resolved(name, loosely=loosely) or self._unknown(name), ""
            except ValueError as error:
                self._remembered[key] = "", str(error)
        video, reason = self._remembered[key]
        if reason:
            raise ValueError(reason)
        return video

    def finds(self, name: str, *, loosely: bool) -> bool:
        """Check whether one video or several have this name."""
        try:
            return self._resolved(name, loosely=loosely) is not None
        except ValueError:
            return True

    def matching(self, pattern: str) -> list[tuple[str, str]]:
        """List videos, each with a name that matches `pattern`; those beside the file if any.

        `*` is any text within a folder, `**/` any folders or none. A pattern that ends in `/` means all files below.
        """
        # Only `*` is special, neither `?` nor `[`.
        parts = re.sub(r"[\[?]", r"[\g<0>]", _slashed(pattern) + "/**" * pattern.endswith("/")).split("/")
        parts = [part for part, after in pairwise([*parts, ""]) if not part == after == "**"]
        named = [(video, name) for video, name, path in self._paths if _is_match(parts, path)]
        return sorted([pair for pair in named if pair[0] in self._beside] or named)

    @cached_property
    def _paths(self) -> list[tuple[str, str, list[str]]]:
        return [(video, name, _slashed(name).split("/")) for video, own in self._names.items() for name in own]

    def finds_clip(self, uid: str) -> bool:
        """Check whether this is a uid of a video's clip, however it is cut."""
        match = UID.fullmatch(uid)
        return match is not None and match[1] in self._video_by_start

    def _resolved(self, name: str, *, loosely: bool) -> str | None:
        if name in self._names:
            return name
        if len(name) > MAX_TEXT_LENGTH or self._is_plainly_unknown(name):
            return None
        if self._may_end(name) and (video := self._by_spelling(name, self._tiers)):
            return video
        if loosely:
            full, anywhere = self._tiers[:3], self._tiers
            for plain in tool_spellings(name):
                parts = plain.split("/")
                if named := next((part for part in parts if part in self._names), None):
                    return named
                if not self._may_end(plain):
                    continue
                endings = ["/".join(parts[depth:]) for depth in range(min(len(parts), MAX_FOLDERS))]
                for ending, tiers in [(plain, anywhere), *((ending, full) for ending in endings), (parts[-1], anywhere)]:
                    if ending and (video := self._by_spelling(ending, tiers)):
                        return video
        return None

    def _is_plainly_unknown(self, name: str) -> bool:
        """Check quickly whether a name of usual characters is plainly no video's."""
        plain = PLAIN.fullmatch(name)
        return plain is not None and self._ends.isdisjoint((plain[1], plain[1].lower())) and self._names.keys().isdisjoint(name.split("/"))

    def _may_end(self, name: str) -> bool:
        """Check quickly whether any video's name ends as this one does."""
        end = _slashed(name).rpartition("/")[2]
        return not self._ends.isdisjoint((end, end.strip(), end.casefold(), end.strip().casefold()))

    def _by_spelling(self, name: str, tiers: Sequence[Mapping[str, set[str]]]) -> str | None:
        exact = _slashed(name)
        for spelling, tier in zip([exact, *[exact.casefold()] * 4], tiers, strict=False):
            videos = tier.get(spelling, set())
            if len(videos) > 1 and len(here := videos & self._beside) == 1:
                videos = here
            if len(videos) > 1:
                paths = [quoted(path) for path in sorted(min(self._names[video]) for video in videos)]
                is_one_path = len(set(paths)) == 1
                mend = "write their content hashes, or give the file together with its videos" if is_one_path else "write more of the path"
                raise ValueError(f"{quoted(name)} matches {len(videos)} videos: {some(paths)}; {mend}")
            if videos:
                return next(iter(videos))
        return None

    def _unknown(self, name: str) -> NoReturn:
        if (uid := UID.fullmatch(name)) and (own := self._video_by_start.get(uid[1])):
            raise ValueError(
                f"{quoted(name)} is not a clip of {quoted(min(self._names[own]))} under the current cutting options; "
                "label that time by video,start_seconds,stop_seconds,verb,noun"
            )
        may_suggest = next(self._near_left, None) is not None
        similar = near(PurePosixPath(_slashed(name[-MAX_TEXT_LENGTH:])).name, self._file_names) if may_suggest else ""
        raise ValueError(f"{quoted(name)} matches no ingested video{similar}")


class KnownVideos:
    """Known videos, for readers of other tools' files; `fps` has rates by content hash."""

    def __init__(self, index: VideoIndex, fps: Mapping[str, float]) -> None:
        self._index = index
        self._fps = fps

    def fps(self, names: Sequence[str]) -> float:
        """Return the frame rate of the video with one of these names."""
        return self._fps[self._index.named(first_known(names, self.finds), loosely=True)]

    def finds(self, name: str) -> bool:
        """Check whether a video has this name."""
        return self._index.finds(name, loosely=True)

    def beside(self, videos: frozenset[str]) -> Self:
        """Prefer these videos where several have a name."""
        return type(self)(self._index.beside(videos), self._fps)


def first_known(names: Sequence[str], finds: Callable[[str], bool]) -> str:
    """Return the first known of several names, else the first of all."""
    return names[0] if len(names) == 1 else next(filter(finds, names), names[0])


def tool_spellings(name: str) -> Iterator[str]:
    """Yield the paths that another tool's address may mean, the most likely first.

    The path of an address is decoded, with the text behind `?` or `#` and then without. The file that Label Studio serves from a disk is
    found in `?d=`, and the eight digits that it puts before the name of an upload are removed.
    """
    name = name.strip().replace("\\", "/")
    paths = [_path_in(name)]
    if "://" in name and (file := FILE_BEFORE_QUERY.match(paths[0])):
        paths.append(file[0])
    for plain in dict.fromkeys(spelling for path in paths for spelling in (path, unquote(path))):
        plain = UPLOAD_FOLDER.sub("", plain).lstrip("/")
        yield plain
        folder, slash, end = plain.rpartition("/")
        if UPLOAD_PREFIX.match(end):
            yield f"{folder}{slash}{UPLOAD_PREFIX.sub('', end)}"


def _path_in(address: str) -> str:
    """Return the path of an address; anything else is a path itself."""
    if "://" in address and not address.casefold().startswith(("http://", "https://")):
        return address.partition("://")[2].partition("/")[2]
    try:
        parts = urlsplit(address)
    except ValueError:
        return address
    if parts.path.endswith("/local-files/") and (files := parse_qs(parts.query).get("d")):
        return files[0]
    return parts.path if "://" in address or (parts.query and address.startswith("/data/")) else address


def _spellings(name: str) -> Iterator[tuple[int, str]]:
    """Yield all spellings of a video's name with their tiers; lower tiers take precedence."""
    yield 0, _slashed(name)
    parts = _slashed(name).casefold().split("/")
    for depth in range(len(parts)):
        end = "/".join(parts[depth:])
        yield (1 if depth == 0 else 3), end
        yield (2 if depth == 0 else 4), EXTENSION.sub("", end)


def _slashed(name: str) -> str:
    return str(PurePosixPath(unicodedata.normalize("NFC", name.replace("\\", "/")).strip()))


def _is_match(pattern: Sequence[str], path: Sequence[str]) -> bool:
    """Match a path with a pattern, folder by folder.

    `**` is any number of folders, and at the end at least the file. No `**` may follow another.
    """
    # The positions in the pattern that may match the next folder.
    positions = {0}
    for folder in path:
        positions |= {at + 1 for at in positions if at < len(pattern) and pattern[at] == "**"}
        fitting = [at for at in positions if at < len(pattern) and fnmatchcase(folder, pattern[at])]
        positions = {at + 1 for at in fitting} | {at for at in fitting if pattern[at] == "**"}
    return len(pattern) in positions


def video_names(videos: Iterable[VideoRecord | DatasetClip]) -> dict[str, str]:
    """Name each video by file, path or hash, the first that is unique without extension.

    The name that a prediction gave (`name_without_label`) is taken if there is no other.
    """
    names_of = {video.video: video.names for video in videos}
    files = Counter(_stem(name) for names in names_of.values() for name in names)
    paths = Counter(without_extension(_path(name)).casefold() for names in names_of.values() for name in names)
    named = {}
    for video, names in names_of.items():
        path = _path(min(names, key=lambda name: (lacks_label(name, video), name)))
        is_only = paths[without_extension(path).casefold()] == 1
        named[video] = PurePosixPath(path).name if files[_stem(path)] == 1 else path if is_only else video
    return named


def named_clips(clips: Sequence[DatasetClip], uids: Collection[str]) -> tuple[NamedClip, ...]:
    """Name the clips of these uids by video and time, in the order of `clips`."""
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
    return f"{path.stem}-{video[:12]}{path.suffix}"


def lacks_label(name: str, video: str) -> bool:
    """Check whether `name_without_label` gave the name."""
    return PurePosixPath(name).stem.endswith(f"-{video[:12]}")


def without_extension(name: str) -> str:
    """Remove the extension of a file's name, not of a path, as data sets do."""
    return name if "/" in name else PurePosixPath(name).stem


def _path(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _stem(name: str) -> str:
    return PurePosixPath(_path(name)).stem.casefold()
