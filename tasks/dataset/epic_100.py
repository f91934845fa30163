"""Map the names of EPIC-KITCHENS-100's classes to those of EPIC-KITCHENS-55, whose ids differ."""

from collections.abc import Sequence

from tasks.dataset.rows import Epic100ClassRow
from tasks.dataset.vocabulary import Lexicon


def learn_epic_100(file: str, rows: Sequence[Epic100ClassRow], verbs: Lexicon, nouns: Lexicon) -> None:
    """Let each name of a class mean the class that a known name of it means, else the class's key.

    A list does not say whether its classes are verbs or nouns: its file's name does, else the names that are known.
    """
    if not rows:
        return
    lexicon = _target(file, rows, verbs, nouns)
    for row in rows:
        names = (row.key, *row.instances)
        key = next((name for name in names if lexicon.is_known(name)), row.key)
        for name in names:
            lexicon.suggest(name, key)


def _target(file: str, rows: Sequence[Epic100ClassRow], verbs: Lexicon, nouns: Lexicon) -> Lexicon:
    plain = file.casefold()
    if ("verb" in plain) != ("noun" in plain):
        return verbs if "verb" in plain else nouns
    return verbs if sum(row.key in verbs for row in rows) >= sum(row.key in nouns for row in rows) else nouns
