"""Find names that may mean the same class: plurals, reordered words, similar spelling."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import SequenceMatcher
from itertools import combinations, islice

from tasks.dataset.vocabulary import Lexicon
from tasks.results.dataset import NUM_EPIC_NOUNS, NUM_EPIC_VERBS
from tasks.wording import plain_count, quoted

ALIKE = 0.85
"""Similarity from which two names are reported; `turn-on` and `turn-off` have 0.8. Names that differ only in digits are never reported."""
MIN_ALIKE_LENGTH = 3
MAX_COMPARED = 500
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
    pairs = combinations(sorted(names), 2)
    return ((first, second) for first, second in pairs if not (first in apart and second in apart) and _are_near(first, second))


def _are_near(first: str, second: str) -> bool:
    if re.sub(r"\d+", "", first) == re.sub(r"\d+", "", second):
        return False
    shorter, longer = sorted((first, second), key=len)
    if any(longer.endswith(plural) and longer.removesuffix(plural) + singular == shorter for plural, singular in PLURALS):
        return True
    if len(first) == len(second) and sorted(re.split("[-:]", first)) == sorted(re.split("[-:]", second)):
        return True
    if len(shorter) < MIN_ALIKE_LENGTH or 2 * len(shorter) < ALIKE * (len(shorter) + len(longer)):
        return False
    matcher = SequenceMatcher(None, first, second, autojunk=False)
    return matcher.quick_ratio() >= ALIKE and matcher.ratio() >= ALIKE
