"""Find names that may mean the same class: plurals, reordered words, similar spelling."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from itertools import combinations, islice

from tasks.data.labels.vocabulary import Lexicon
from tasks.store.records.dataset import NUM_EPIC_NOUNS, NUM_EPIC_VERBS
from tasks.wording import plain_count, quoted

ALIKE = 0.85
"""Similarity from which two names are reported; `turn-on` and `turn-off` have 0.8. Names that differ only in digits are never reported."""
MIN_ALIKE_LENGTH = 3
MAX_COMPARED = 500
MAX_COMPARED_CLOSELY = 2000
MAX_TOLD = 100
PLURALS = (("s", ""), ("es", ""), ("ies", "y"), ("ves", "f"), ("ves", "fe"))


def near_names(num_clips: Mapping[str, int], names: Lexicon) -> Iterator[str]:
    """Report pairs of similar names, unless both have EPIC ids.

    Only the most frequent names are compared if there are very many.
    """
    num_epic = NUM_EPIC_VERBS if names.target == "verb" else NUM_EPIC_NOUNS
    compared = sorted(num_clips, key=lambda name: (-num_clips[name], name))[:MAX_COMPARED]
    epic = {name for name in compared if (class_id := names.id_of(name)) is not None and class_id < num_epic}
    for first, second in islice(near_pairs(compared, epic), MAX_TOLD):
        yield (
            f"{quoted(first)} {plain_count(num_clips[first], 'clip')}, {quoted(second)} {plain_count(num_clips[second], 'clip')}: "
            "the same class? Say so in classes.csv"
        )


def near_pairs(names: Iterable[str], apart: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield pairs of similar names; those of `apart` are no pair of one another."""
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
