"""Look up class names and ids: EPIC-KITCHENS-55's, the store's own, synonyms, merges, similar names."""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import combinations, islice
from typing import Literal

from tasks.store.records.dataset import NO_OBJECT, NOTHING, NUM_EPIC_NOUNS, NUM_EPIC_VERBS
from tasks.wording import plain_count, quoted, some

WordTarget = Literal["verb", "noun"]

VERBS = {"take": 0, "put": 1, "open": 2, "close": 3, "move": 9}
NOUNS = {"pan": 1, "pot": 15, "bag": 20, "meat": 26, "potato": 27, "container": 29, "sauce": 41, "tortilla": 80}
FIRST_OWN_ID: Mapping[WordTarget, int] = {"verb": NUM_EPIC_VERBS, "noun": NUM_EPIC_NOUNS}

MAX_NAME_LENGTH = 64
MAX_CACHED_NAMES = 1 << 12
SIGNS = frozenset("-:'\N{RIGHT SINGLE QUOTATION MARK}&.+()%")
MAX_MERGES = 50
"""Names in a chain of merges."""
MAX_TEXT_LENGTH = 1024
"""Characters of a label or a video's name, as written and normalised. To normalise may make eighteen characters of one."""
LEFT_OUT = "-"
"""The value of `same_as` that leaves a name out."""

ALIKE = 0.85
"""Similarity from which two names are reported; `turn-on` and `turn-off` have 0.8."""
MIN_ALIKE_LENGTH = 3
MAX_COMPARED = 500
MAX_COMPARED_CLOSELY = 2000
MAX_REPORTED = 100
PLURALS = (("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"), ("ves", "fe"))


@lru_cache(MAX_CACHED_NAMES)
def normal_name(text: str) -> str:
    """Normalise a class name: lower case, words joined by `-`.

    Raises:
        ValueError: it is longer than any label.
    """
    if len(text) > MAX_TEXT_LENGTH or not _is_short(text):
        raise ValueError(f"is longer than {MAX_TEXT_LENGTH} characters")
    shown = unicodedata.normalize("NFKC", text)
    if not shown.isprintable():
        # Text copied from web pages may contain invisible characters, such as direction marks.
        shown = "".join(char for char in shown if unicodedata.category(char) != "Cf")
    return re.sub(r"[\s_]+", "-", unicodedata.normalize("NFKC", shown.strip().casefold()))


def _is_short(text: str) -> bool:
    """Check part by part that a normalised text is short; the whole takes milliseconds."""
    length, size = 0, MAX_NAME_LENGTH
    for start in range(0, 0 if text.isascii() else len(text), size):
        length += len(unicodedata.normalize("NFKC", text[start : start + size]))
        if length > MAX_TEXT_LENGTH:
            return False
    return True


@lru_cache(MAX_CACHED_NAMES)
def class_name(text: str) -> str:
    """Normalise and validate a class name in any language.

    Raises:
        ValueError: it is not a valid name; the message is a predicate.
    """
    name = normal_name(text) if len(text) <= MAX_TEXT_LENGTH else text
    if len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"is longer than {MAX_NAME_LENGTH} characters")
    kinds = [unicodedata.category(char)[0] for char in name]
    if not name or kinds[0] not in "LN" or any(kind not in "LMN" and char not in SIGNS for char, kind in zip(name, kinds, strict=True)):
        raise ValueError("is not a name: names have letters, digits and - : ' & . + ( ) %, and start with a letter or a digit")
    return name


def noun_name(text: str) -> str:
    """Normalise a noun by `class_name`; an empty one is no object."""
    return NO_OBJECT if text in ("", NO_OBJECT) else class_name(text)


def require_no_object(verb: str, noun: str) -> None:
    """Refuse an object of the verb `nothing` by a ValueError that says what to do."""
    if verb == NOTHING and noun != NO_OBJECT:
        raise ValueError(f"{quoted(verb)} means that nothing happens, so it has no object: leave {quoted(noun)} out, or use another verb")


@dataclass(frozen=True)
class OwnClasses:
    """The ids that the store has given to words: verbs from 125, nouns from 352."""

    verbs: Mapping[str, int] = field(default_factory=dict)
    nouns: Mapping[str, int] = field(default_factory=dict)

    def of(self, target: WordTarget) -> Mapping[str, int]:
        """Return the ids of one target."""
        return self.verbs if target == "verb" else self.nouns


def end_of_merges(same_as: str, name: str, merged_into: Callable[[str], str | None]) -> str:
    """Follow the merges of `same_as` to their end, or to `name`.

    Raises:
        ValueError: they are more than `MAX_MERGES`.
    """
    last = same_as
    for _ in range(MAX_MERGES + 1):
        following = merged_into(last)
        if last == name or following is None:
            return last
        last = following
    raise ValueError(f"{quoted(same_as)} is merged over more than {MAX_MERGES} names; write the last of them")


class Lexicon:
    """The classes of one target: unique ids, synonyms, and names merged or left out.

    Any name is a class. A name keeps the id that the store gave it, whatever files say later. `where` is a file and line, for messages.
    """

    def __init__(self, target: WordTarget, shipped: Mapping[str, int], own: Mapping[str, int] | None = None) -> None:
        self.target = target
        self._own = own or {}
        self._id_by_name = dict(shipped)
        self._name_by_id = {class_id: name for name, class_id in shipped.items()}
        self._where: dict[str, str] = {}
        self._ids_by_synonym: dict[str, set[int]] = {}
        self._same_as: dict[str, str] = {}
        self._last: dict[str, str] = {}
        self._suggested: dict[str, str] = {}
        self._left_out: dict[str, str] = {}
        self._mentioned: set[str] = set()
        self._not_used: dict[str, int] = {}

    def __contains__(self, name: str) -> bool:
        """Check whether EPIC or an annotation file has the name."""
        # A store's id alone may come from a folder.
        is_known = name in self._id_by_name or name in self._mentioned or len(self._ids_by_synonym.get(name, ())) == 1
        return is_known and not self.why_left_out(name)

    def define(self, name: str, class_id: int, where: str) -> None:
        """Assign a name to EPIC's `class_id`; repeating a known one is allowed.

        Raises:
            ValueError: the name has another id, or the id another name; the message says where.
        """
        known_id, known_name = self._id_by_name.get(name), self._name_by_id.get(class_id)
        if known_id is not None and known_id != class_id:
            raise ValueError(f"{self.target}_class of {quoted(name)} is {known_id}{self._stated_in(name)}, not {class_id}")
        if known_name is not None and known_name != name:
            raise ValueError(
                f"{self.target}_class {class_id} is {quoted(known_name)}{self._stated_in(known_name)}, not {quoted(name)}; "
                f"write {quoted(known_name)}, or its own id"
            )
        self._mentioned.add(name)
        self._name_by_id[class_id] = name
        if name in self._own:
            self._not_used.setdefault(name, class_id)
        elif known_id is None:
            self._id_by_name[name] = class_id
            self._where[name] = where

    def add_synonym(self, synonym: str, class_id: int) -> None:
        """Add a synonym of a class. Class names go before it."""
        self._ids_by_synonym.setdefault(synonym, set()).add(class_id)

    def name_of(self, class_id: int) -> str | None:
        """Return the name of EPIC's class with this id, if known."""
        return self._name_by_id.get(class_id)

    def is_known(self, name: str) -> bool:
        """Check whether the name, or a synonym that means one class, has an id."""
        return self.id_of(name) is not None or len(self._ids_by_synonym.get(name, ())) == 1

    def suggest(self, name: str, same_as: str) -> None:
        """Let `name` mean the class `same_as` unless it is defined, or was suggested otherwise before."""
        if name != same_as:
            self._suggested.setdefault(name, same_as)
        self._mentioned |= {name, same_as}

    def learn(self, name: str, class_id: int | None, where: str) -> None:
        """Record a label's name, and its id unless the name is a synonym or merged.

        Raises:
            ValueError: as in `define`; or the id is beyond EPIC's and not the store's for this name.
        """
        self._mentioned.add(name)
        if class_id is None or name in self._same_as or name in self._left_out:
            return
        if class_id >= FIRST_OWN_ID[self.target]:
            if self._own.get(name) != class_id:
                given = f"the store gave it {self._own[name]}" if name in self._own else "the store gave it none"
                raise ValueError(
                    f"{self.target}_class {class_id} is beyond EPIC-KITCHENS-55's and not the id of {quoted(name)} ({given}); "
                    "leave the cell empty"
                )
        elif class_id not in self._ids_by_synonym.get(name, ()):
            self.define(name, class_id, where)

    def merge(self, name: str, same_as: str, where: str) -> None:
        """Merge `name` into the class `same_as`, or leave it out.

        A later line overrides; a name merged into itself is free again.

        Raises:
            ValueError: as in `end_of_merges`.
        """
        last = end_of_merges(same_as, name, self._same_as.get)
        self._last.clear()
        self._same_as.pop(name, None)
        self._left_out.pop(name, None)
        self._mentioned |= {name, same_as} - {LEFT_OUT}
        if same_as == LEFT_OUT:
            self._left_out[name] = where
        elif same_as != name:
            if last == name:
                del self._same_as[same_as]
            self._same_as[name] = same_as

    def why_left_out(self, name: str) -> str:
        """Explain why the name is left out, as a predicate; empty if it is not."""
        last = self._merged(name)
        return f"is left out ({self._left_out[last]})" if last in self._left_out else ""

    def find(self, name: str, class_id: int | None = None) -> str:
        """Resolve `name` to a canonical class name.

        Raises:
            ValueError: it is left out, or means two classes; the message says what to do.
        """
        seen: set[str] = set()
        if class_id is not None and class_id in self._ids_by_synonym.get(name, ()):
            name = self._name_by_id[class_id]
        while name not in seen:
            seen.add(name)
            if reason := self.why_left_out(name):
                raise ValueError(f"{self.target} {quoted(name)} {reason}")
            name = self._by_synonym(self._merged(name))
        return name

    def id_of(self, name: str) -> int | None:
        """Return the id of a canonical class name, if it has one yet."""
        return self._own.get(name, self._id_by_name.get(name))

    def remarks(self, used: Iterable[str]) -> Iterator[str]:
        """Yield remarks on ids of `used` classes that files gave after the store."""
        own = sorted(set(used) & self._own.keys())
        if kept := [f"{quoted(name)} {self._own[name]}, not {self._not_used[name]}" for name in own if name in self._not_used]:
            yield f"{self.target}s that keep the store's id, given before a file had one: {some(kept)}"
        if others := [
            f"{quoted(name)} as {self._called(name)}" for name in own if name not in self._not_used and name in self._ids_by_synonym
        ]:
            yield f"{self.target}s with the store's id that are in EPIC's list: {some(others)}; to merge them, use classes.csv"

    def _merged(self, name: str) -> str:
        """Return the last of the names into which a name was merged."""
        passed = []
        while name in self._same_as and name not in self._last:
            passed.append(name)
            name = self._same_as[name]
        last = self._last.get(name, name)
        self._last.update(dict.fromkeys(passed, last))
        return last

    def _by_synonym(self, name: str) -> str:
        ids = self._ids_by_synonym.get(name, set())
        if self.id_of(name) is not None:
            return name
        if not ids:
            return self._suggested.get(name, name)
        if len(ids) > 1:
            raise ValueError(f"{self.target} {quoted(name)} means the classes {sorted(ids)}; fill in {self.target}_class")
        (only,) = ids
        return self._name_by_id[only]

    def _called(self, name: str) -> str:
        return " or ".join(quoted(self._name_by_id[class_id]) for class_id in sorted(self._ids_by_synonym[name]))

    def _stated_in(self, name: str) -> str:
        return f" ({self._where[name]})" if name in self._where else ""


def near_names(num_clips: Mapping[str, int], names: Lexicon) -> Iterator[str]:
    """Report pairs of similar names among the most frequent, unless both have EPIC ids."""
    num_epic = NUM_EPIC_VERBS if names.target == "verb" else NUM_EPIC_NOUNS
    compared = sorted(num_clips, key=lambda name: (-num_clips[name], name))[:MAX_COMPARED]
    epic = {name for name in compared if (class_id := names.id_of(name)) is not None and class_id < num_epic}
    for first, second in islice(near_pairs(compared, epic), MAX_REPORTED):
        yield (
            f"{quoted(first)} {plain_count(num_clips[first], 'clip')}, {quoted(second)} {plain_count(num_clips[second], 'clip')}: "
            "the same class? Say so in classes.csv"
        )


def near_pairs(names: Iterable[str], apart: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield pairs of similar names that differ not only in digits, except pairs within `apart`."""
    letters = {name: Counter(name) for name in names}
    without_digits = {name: re.sub(r"\d+", "", name) for name in letters}
    num_left = MAX_COMPARED_CLOSELY
    for first, second in combinations(sorted(letters), 2):
        if without_digits[first] == without_digits[second] or (first in apart and second in apart):
            continue
        if _have_equal_words(first, second):
            yield first, second
        elif num_left and min(len(first), len(second)) >= MIN_ALIKE_LENGTH:
            length = len(first) + len(second)
            # The letters that two names share limit how similar they can be, and are quicker to count.
            if 2 * min(len(first), len(second)) >= ALIKE * length and 2 * (letters[first] & letters[second]).total() >= ALIKE * length:
                num_left -= 1
                if SequenceMatcher(None, first, second, autojunk=False).ratio() >= ALIKE:
                    yield first, second


def _have_equal_words(first: str, second: str) -> bool:
    shorter, longer = sorted((first, second), key=len)
    if any(longer.endswith(plural) and longer.removesuffix(plural) + singular == shorter for plural, singular in PLURALS):
        return True
    return len(first) == len(second) and sorted(re.split("[-:]", first)) == sorted(re.split("[-:]", second))
