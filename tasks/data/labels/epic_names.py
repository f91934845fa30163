"""Learn what the names of EPIC-KITCHENS mean: -55's by their class ids, -100's, whose ids differ, by its lists."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from tasks.data.labels.rows import Epic100ClassRow
from tasks.data.labels.vocabulary import Lexicon


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


def learn_epic_55(names: Iterable[tuple[str, int]], lexicon: Lexicon) -> None:
    """Let the names that segments give to one class id mean one class.

    It has the name that the id is known by, else the most frequent of them. Segments have the words of narrations, such as `pick-up` for 0.
    """
    by_id: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for name, class_id in names:
        by_id[class_id][name] += 1
    for class_id, named in sorted(by_id.items()):
        new = [name for name, _ in sorted(named.items(), key=lambda one: (-one[1], one[0])) if not lexicon.is_known(name)]
        if lexicon.name_of(class_id) is None and new:
            lexicon.define(new.pop(0), class_id, "EPIC-KITCHENS-55")
        if lexicon.name_of(class_id) is not None:
            for name in named:
                lexicon.add_synonym(name, class_id)


def _target(file: str, rows: Sequence[Epic100ClassRow], verbs: Lexicon, nouns: Lexicon) -> Lexicon:
    plain = file.casefold()
    if ("verb" in plain) != ("noun" in plain):
        return verbs if "verb" in plain else nouns
    return verbs if sum(row.key in verbs for row in rows) >= sum(row.key in nouns for row in rows) else nouns
