"""The names of classes and actions in everything that a prediction writes."""

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.results.dataset import ClassRef, Vocabulary
from tasks.results.record import Target


@dataclass(frozen=True)
class Names:
    """By id; a class that nothing names is called `verb-7` or `noun-7`."""

    verbs: dict[int, str]
    nouns: dict[int, str]
    num_nouns: int

    @classmethod
    def of(cls, vocabularies: Iterable[Vocabulary], num_nouns: int) -> "Names":
        """The names of several vocabularies; the first that has one counts."""
        verbs: dict[int, str] = {}
        nouns: dict[int, str] = {}
        for vocabulary in vocabularies:
            _add(verbs, vocabulary.verbs)
            _add(nouns, vocabulary.nouns)
        return cls(verbs, nouns, num_nouns)

    def name(self, target: Target, class_id: int) -> str:
        """The name of a verb, of a noun, or of an action as `put meat`."""
        if target == "verb":
            return self.verbs.get(class_id, f"verb-{class_id}")
        if target == "noun":
            return self.nouns.get(class_id, f"noun-{class_id}")
        return f"{self.name('verb', class_id // self.num_nouns)} {self.name('noun', class_id % self.num_nouns)}"


def _add(names: dict[int, str], classes: Iterable[ClassRef]) -> None:
    for ref in classes:
        names.setdefault(ref.id, ref.name)
