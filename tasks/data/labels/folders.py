"""Read one folder path as a label.

Examples: `put meat`, `put_meat`, `put/meat`, or `wave` without an object.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

from tasks.data.labels.vocabulary import MAX_CACHED_NAMES, Lexicon, class_name, normal_name
from tasks.store.records.dataset import NO_OBJECT
from tasks.wording import quoted

Folders = tuple[str, ...]

MAX_VERB_WORDS = 4
COLLECTION_WORDS = (
    "all archive backup camera clip clips data dataset dcim downloads export exports film films folder footage inbox media misc movie movies "
    "my new old original originals other output raw recording recordings sample samples temp test testing tmp train training unlabeled "
    "unlabelled unsorted val validation video videos"
)
COLLECTIONS = frozenset(COLLECTION_WORDS.split())
"""Words that alone do not make a folder a label, unless known class names."""


class Certainty(IntEnum):
    """How certainly a folder is a label; lower is more certain."""

    KNOWN = 0
    KNOWN_VERB_ALONE = 1
    NEW_WORDS = 2
    NEW_WORD_ALONE = 3


@dataclass(frozen=True)
class FolderLabel:
    """A folder read as a label.

    It has the path, the part that was read, and the canonical class names.
    """

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
    """Read folder paths by known class names, and unknown words by their form."""

    def __init__(self, verbs: Lexicon, nouns: Lexicon) -> None:
        self._verbs = verbs
        self._nouns = nouns

    def known(self, path: Folders) -> FolderLabel | None:
        """Read the innermost folder that starts with a known verb.

        Folders with a known noun are preferred.

        Raises:
            ValueError: a name means no class, or two.
        """
        readings = [reading for depth in range(len(path), 0, -1) for reading in self._known_at(path[:depth])]
        return min(readings, key=lambda reading: reading[0], default=(None, None))[1]

    def phrase(self, path: Folders, depths: Sequence[int]) -> FolderLabel | None:
        """Read the innermost folder at `depths` with two or more words.

        Raises:
            ValueError: a name means no class, or two.
        """
        for depth in reversed(depths):
            verb, *noun = _strongest_parts(path[depth])
            if noun:
                return self._label(path[: depth + 1], path[depth], verb, "-".join(noun), Certainty.NEW_WORDS)
        return None

    def words(self, path: Folders, depths: Sequence[int]) -> FolderLabel | None:
        """Read the two innermost folders at `depths`, of one word each, or the only one.

        Raises:
            ValueError: a name means no class, or two.
        """
        if not depths:
            return None
        inner = path[depths[-1]]
        inner_path = path[: depths[-1] + 1]
        if len(depths) == 1:
            return self._label(inner_path, inner, normal_name(inner), NO_OBJECT, Certainty.NEW_WORD_ALONE)
        upper = path[depths[-2]]
        return self._label(inner_path, f"{upper}/{inner}", normal_name(upper), normal_name(inner), Certainty.NEW_WORDS)

    def depths(self, path: Folders) -> list[int]:
        """Find the positions in the path of folders that could be labels."""
        return [depth for depth, folder in enumerate(path) if not self.why_no_label(folder)]

    def why_no_label(self, folder: str) -> str:
        """Explain why a folder without a known verb is not a label.

        As a predicate; empty if it could be one.
        """
        try:
            verb = _strongest_parts(folder)[0]
        except ValueError as error:
            return f"is not a label: {error}"
        left_out = self._verbs.why_left_out(verb)
        return _why_no_words(folder) or (f"is not a label: verb {quoted(verb)} {left_out}" if left_out else "")

    def _known_at(self, path: Folders) -> Iterator[tuple[tuple[bool, int], FolderLabel]]:
        """Yield readings of the last folder and of the last two, with their rank.

        Known nouns rank first, then the innermost.
        """
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
    """Split a folder name at spaces, else at `_`, else at `-`.

    For example, `pick-up spoon` gives two parts.
    """
    for separator in (r"\s+", "_+", "-+"):
        parts = tuple(normal_name(part) for part in re.split(separator, folder) if part)
        if len(parts) > 1:
            return parts
    return (normal_name(folder),)
