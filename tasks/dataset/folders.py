"""The weakest source of labels: folders named `put meat`, `put_meat` or `put/meat`."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from tasks.dataset.vocabulary import ClassNames, normal_name
from tasks.dataset.wording import quoted
from tasks.results.dataset import ClassRef

MAX_VERB_WORDS = 4


@dataclass(frozen=True)
class FolderLabel:
    """What the folders of one name say. `reason` tells what is amiss where the label is not whole."""

    folder: str
    verb: ClassRef | None
    noun: ClassRef | None
    reason: str | None

    @property
    def is_whole(self) -> bool:
        """Whether both verb and noun are known."""
        return self.verb is not None and self.noun is not None


def folder_label(names: Sequence[str], verbs: ClassNames, nouns: ClassNames) -> FolderLabel | None:
    """The one label that the folders of a video's `names` give it; None where they were not meant as one.

    A whole label goes before a verb alone, and either before a folder that says nothing.

    Raises:
        ValueError: two names give two labels.
    """
    found = [label for name in sorted(names) if (label := _of_one_name(name, verbs, nouns))]
    whole = {(label.verb, label.noun): label for label in reversed(found) if label.is_whole}
    with_verb = {label.verb: label for label in reversed(found) if label.verb}
    rivals: list[FolderLabel] = list(whole.values()) if len(whole) > 1 else list(with_verb.values())
    if len(rivals) > 1:
        said = ", ".join(sorted(quoted(label.folder) for label in rivals))
        raise ValueError(f"the same video lies in folders of different labels: {said}; label it in a CSV, which goes before folders")
    return next(iter([*whole.values(), *with_verb.values(), *found]), None)


def _of_one_name(name: str, verbs: ClassNames, nouns: ClassNames) -> FolderLabel | None:
    folders = PurePosixPath(name.replace("\\", "/")).parts[:-1]
    readings = [reading for folder in _candidates(folders) for reading in _readings(folder, verbs, nouns)]
    best = next((reading for reading in readings if reading.is_whole), None) or next(iter(readings), None)
    # A folder with digits is a date or a number; one without was perhaps meant as a label.
    if best or not folders or re.search(r"\d", folders[-1]):
        return best
    reason = "is no label: it begins with no known verb; name it as in 'put meat', or label its videos in a CSV"
    return FolderLabel(folders[-1], None, None, reason)


def _candidates(folders: tuple[str, ...]) -> Iterator[str]:
    """Each folder alone and with the one above it, the innermost first."""
    for depth in range(len(folders), 0, -1):
        yield folders[depth - 1]
        if depth > 1:
            yield "/".join(folders[depth - 2 : depth])


def _readings(folder: str, verbs: ClassNames, nouns: ClassNames) -> Iterator[FolderLabel]:
    words = [word for word in re.split(r"[-\s_/]+", normal_name(folder)) if word]
    for num_verb_words in range(min(len(words), MAX_VERB_WORDS), 0, -1):
        verb_name, noun_name = "-".join(words[:num_verb_words]), "-".join(words[num_verb_words:])
        if verb_name not in verbs:
            continue
        verb = verbs.find(verb_name)
        if not noun_name:
            reason = f"names a verb alone; name the noun as well, as in '{verb.name} meat', or in a CSV"
            yield FolderLabel(folder, verb, None, reason)
        elif noun_name in nouns:
            yield FolderLabel(folder, verb, nouns.find(noun_name), None)
        else:
            try:
                nouns.find(noun_name)
            except ValueError as error:
                yield FolderLabel(folder, verb, None, f"names the verb {quoted(verb.name)}, but {error}")
