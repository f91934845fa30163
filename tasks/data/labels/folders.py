"""Read folders of videos as labels: `put meat`, `put_meat`, `put/meat`, or `wave` alone.

Known words are read first, then new words in the context of the other folders.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from pathlib import PurePosixPath

from tasks.data.labels.vocabulary import MAX_CACHED_NAMES, Lexicon, class_name, normal_name, require_no_object
from tasks.store.records.dataset import NO_OBJECT, LabelledClip
from tasks.store.records.record import SetAside
from tasks.wording import plain_count, printable, quoted, some

Folders = tuple[str, ...]

MAX_VERB_WORDS = 4
COLLECTION_WORDS = (
    "all archive backup camera clip clips data dataset dcim downloads export exports film films folder footage inbox media misc movie movies "
    "my new old original originals other output raw recording recordings sample samples temp test testing tmp train training unlabeled "
    "unlabelled unsorted val validation video videos"
)
COLLECTIONS = frozenset(COLLECTION_WORDS.split())
"""Words that alone make no label, unless they are known class names."""


class Certainty(IntEnum):
    """How a folder was read as a label, the surest first."""

    KNOWN = 0
    KNOWN_VERB_ALONE = 1
    NEW_WORDS = 2
    NEW_WORD_ALONE = 3


@dataclass(frozen=True)
class FolderLabel:
    """A folder read as a label: its path, the part read, and canonical class names."""

    path: Folders
    folder: str
    verb: str
    noun: str
    certainty: Certainty

    @property
    def holders(self) -> Iterator[Folders]:
        """Yield the paths of its parent folders."""
        num_read = self.folder.count("/") + 1
        return (self.path[:depth] for depth in range(1, len(self.path) - num_read + 1))


class FolderReader:
    """Read folder paths by known class names, and unknown words by their form.

    All readings raise a ValueError if a name is left out, or means two classes.
    """

    def __init__(self, verbs: Lexicon, nouns: Lexicon) -> None:
        self._verbs = verbs
        self._nouns = nouns

    def known(self, path: Folders) -> FolderLabel | None:
        """Read the innermost folder with a known verb and noun, else with a known verb."""
        readings = [reading for depth in range(len(path), 0, -1) for reading in self._known_at(path[:depth])]
        return min(readings, key=lambda reading: reading[0], default=(None, None))[1]

    def phrase(self, path: Folders, depths: Sequence[int]) -> FolderLabel | None:
        """Read the innermost folder at `depths` with two or more words."""
        for depth in reversed(depths):
            verb, *noun = _strongest_parts(path[depth])
            if noun:
                return self._label(path[: depth + 1], path[depth], verb, "-".join(noun), Certainty.NEW_WORDS)
        return None

    def words(self, path: Folders, depths: Sequence[int]) -> FolderLabel | None:
        """Read the two innermost folders at `depths`, of one word each, or the only one."""
        if not depths:
            return None
        inner = path[depths[-1]]
        inner_path = path[: depths[-1] + 1]
        if len(depths) == 1:
            return self._label(inner_path, inner, normal_name(inner), NO_OBJECT, Certainty.NEW_WORD_ALONE)
        upper = path[depths[-2]]
        return self._label(inner_path, f"{upper}/{inner}", normal_name(upper), normal_name(inner), Certainty.NEW_WORDS)

    def depths(self, path: Folders) -> list[int]:
        """List the depths in the path of folders that could be labels."""
        return [depth for depth, folder in enumerate(path) if not self.why_no_label(folder)]

    def why_no_label(self, folder: str) -> str:
        """Explain, as a predicate, why a folder without a known verb cannot be a label.

        Empty if it could be one.
        """
        try:
            verb = _strongest_parts(folder)[0]
        except ValueError as error:
            return f"is not a label: {error}"
        left_out = self._verbs.why_left_out(verb)
        return _why_no_words(folder) or (f"is not a label: verb {quoted(verb)} {left_out}" if left_out else "")

    def _known_at(self, path: Folders) -> Iterator[tuple[tuple[bool, int], FolderLabel]]:
        """Yield readings of the last folder and of the last two, each with its rank."""
        inner, joined = path[-1], "/".join(path[-2:])
        for folder in [inner, joined] if len(path) > 1 else [inner]:
            words = [word for word in re.split(r"[-\s_/]+", normal_name(folder)) if word]
            for num_verb_words in range(min(len(words), MAX_VERB_WORDS), 0, -1):
                verb, noun = "-".join(words[:num_verb_words]), "-".join(words[num_verb_words:])
                if verb not in self._verbs:
                    continue
                if noun in self._nouns:
                    yield (False, -len(path)), self._label(path, folder, verb, noun, Certainty.KNOWN)
                elif not noun:
                    if folder == inner:
                        yield (True, -len(path)), self._label(path, folder, verb, NO_OBJECT, Certainty.KNOWN_VERB_ALONE)
                elif not _why_no_words(inner) and (folder == inner or normal_name(path[-2]) == verb):
                    yield (True, -len(path)), self._label(path, folder, verb, noun, Certainty.KNOWN)

    def _label(self, path: Folders, folder: str, verb: str, noun: str, certainty: Certainty) -> FolderLabel:
        return FolderLabel(path, folder, self._verbs.find(verb), noun if noun == NO_OBJECT else self._nouns.find(noun), certainty)


@lru_cache(MAX_CACHED_NAMES)
def _why_no_words(folder: str) -> str:
    if re.search(r"\d", folder):
        return "has a digit in its name, so it is not a label"
    first, *rest = parts = _strongest_parts(folder)
    if COLLECTIONS.issuperset(word for part in parts for word in part.split("-")):
        return "has the name of a collection, so it is not a label"
    try:
        for name in [first, "-".join(rest)] if rest else parts:
            class_name(name)
    except ValueError as error:
        return f"is not a label: {quoted(folder)} {error}"
    return ""


@lru_cache(MAX_CACHED_NAMES)
def _strongest_parts(folder: str) -> tuple[str, ...]:
    """Split a folder name at spaces, else at `_`, else at `-`, as in `pick-up|spoon`."""
    for separator in (r"\s+", "_+", "-+"):
        parts = tuple(normal_name(part) for part in re.split(separator, folder) if part)
        if len(parts) > 1:
            return parts
    return (normal_name(folder),)


@dataclass(frozen=True)
class FolderLabels:
    """The labels that videos get from folders, and why other folders are not labels."""

    label_by_video: Mapping[str, FolderLabel]
    reason_by_video: Mapping[str, str]


def read_folders(
    names: Mapping[str, tuple[str, ...]], in_files: Set[str], verbs: Lexicon, nouns: Lexicon, numbered: Set[str]
) -> FolderLabels:
    """Read the folders in every name of every video.

    If annotation files label some videos of a folder (`in_files`), a new word in its name is not a verb, unless the store has given it an id
    (`numbered`).
    """
    videos: defaultdict[Folders, set[str]] = defaultdict(set)
    for video, own in names.items():
        for name in own:
            videos[folders_of(name)].add(video)
    labels, reasons = _read_paths(videos.keys(), FolderReader(verbs, nouns))
    in_use = {path[:depth] for path, own in videos.items() if own & in_files for depth in range(1, len(path) + 1)}
    for path, label in list(labels.items()):
        if label.certainty >= Certainty.NEW_WORDS and label.verb not in numbered and label.path in in_use:
            reasons[path] = f"annotation files label some of its videos without using its verb; {_remedy(labels.pop(path))}"
    if len({(label.verb, label.noun) for label in labels.values()}) == 1:
        for path in [path for path, label in labels.items() if label.certainty is Certainty.NEW_WORD_ALONE]:
            reasons[path] = f"is a single word, and no other folder is a label; {_remedy(labels.pop(path))}"
    return _by_video(names, labels, reasons)


def _remedy(label: FolderLabel) -> str:
    return f"if it is a label, add verb,{label.verb},{label.verb} to classes.csv"


def folders_of(name: str) -> Folders:
    """Split a relative path, with slashes or backslashes, into its folders."""
    return tuple(part for part in name.replace("\\", "/").split("/")[:-1] if part not in ("", "."))


def _read_paths(paths: Iterable[Folders], reader: FolderReader) -> tuple[dict[Folders, FolderLabel], dict[Folders, str]]:
    """Read every path: known verbs first, then two words, then the rest."""
    labels, reasons = dict[Folders, FolderLabel](), dict[Folders, str]()
    filled = sorted(path for path in paths if path)
    depths = {path: reader.depths(path) for path in filled}
    num_common = _num_common([[normal_name(path[depth]) for depth in depths[path]] for path in filled])

    def read_by(read: Callable[[Folders], FolderLabel | None]) -> None:
        for path in filled:
            if path not in labels and path not in reasons:
                try:
                    if label := read(path):
                        require_no_object(label.verb, label.noun)
                        labels[path] = label
                except ValueError as error:
                    reasons[path] = f"is not a label: {error}"

    read_by(reader.known)
    read_by(lambda path: reader.phrase(path, depths[path][num_common:]))
    # The parent folder of a label is not read as a word of another.
    holders = {holder for label in labels.values() for holder in label.holders}
    read_by(lambda path: reader.words(path, [depth for depth in depths[path][num_common:] if path[: depth + 1] not in holders]))
    for path in filled:
        if path not in labels and path not in reasons:
            reasons[path] = reader.why_no_label(path[-1]) or "contains folders that are labels, so it is not a label"
    return labels, reasons


def _num_common(paths: list[list[str]]) -> int:
    """Count the leading folders that all paths share, except their last: they distinguish nothing."""
    filled = [path for path in paths if path]
    num_common = 0
    while filled and all(len(path) > num_common + 1 and path[num_common] == filled[0][num_common] for path in filled):
        num_common += 1
    return num_common


def _by_video(names: Mapping[str, tuple[str, ...]], labels: Mapping[Folders, FolderLabel], reasons: Mapping[Folders, str]) -> FolderLabels:
    label_by_video, reason_by_video = {}, {}
    for video, own in names.items():
        paths = sorted({folders_of(name) for name in own})
        read = [labels[path] for path in paths if path in labels]
        surest = _surest(read)
        if len({(label.verb, label.noun) for label in surest}) > 1:
            listed = ", ".join(sorted({quoted(label.folder) for label in surest}))
            reason_by_video[video] = f"the same video is in folders with different labels: {listed}"
        elif surest:
            label_by_video[video] = surest[0]
        elif reason := next((reasons[path] for path in paths if path in reasons), ""):
            reason_by_video[video] = reason
    return FolderLabels(label_by_video, reason_by_video)


def _surest(labels: list[FolderLabel]) -> list[FolderLabel]:
    """Keep the most certain labels; a verb with a noun replaces the verb alone."""
    for least_sure in (Certainty.KNOWN_VERB_ALONE, Certainty.NEW_WORDS, Certainty.NEW_WORD_ALONE):
        if sure := [label for label in labels if label.certainty <= least_sure]:
            with_noun = {label.verb for label in sure if label.certainty is Certainty.KNOWN}
            return [label for label in sure if label.certainty is not Certainty.KNOWN_VERB_ALONE or label.verb not in with_noun]
    return []


def left_out(clips: Sequence[LabelledClip], reason_by_video: Mapping[str, str]) -> tuple[SetAside, ...]:
    """List unlabelled clips with reasons, by folder, then those of partly labelled videos."""
    in_part = {clip.clip.video for clip in clips if clip.action}
    num_between = Counter(clip.clip.video for clip in clips if not clip.action and clip.clip.video in in_part)
    num_clips: Counter[tuple[str, str]] = Counter()
    videos: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for clip in clips:
        if clip.clip.video not in in_part:
            place = "/".join(folders_of(min(clip.names))), reason_by_video.get(clip.clip.video, "")
            num_clips[place] += 1
            videos[place].add(PurePosixPath(min(clip.names).replace("\\", "/")).name)
    items = []
    for (folder, reason), number in sorted(num_clips.items()):
        names, counted = sorted(videos[folder, reason]), plain_count(number, "clip")
        if folder:
            about = f"{counted} of {plain_count(len(names), 'video')}: {reason}"
            items.append(SetAside(name=f"{printable(folder)}/", reason=about))
        else:
            items.append(SetAside(name="videos in no folder", reason=f"{counted} of {some(list(map(quoted, names)))}"))
    if num_between:
        about = f"{plain_count(num_between.total(), 'clip')} of {plain_count(len(num_between), 'video')}"
        items.append(SetAside(name="partly labelled videos", reason=f"{about}: no line of an annotation file covers enough of them"))
    return tuple(items)
