"""Name classes and actions in all outputs of a prediction."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from tasks.judge.statistics.answers import action_id, verb_and_noun
from tasks.store.records.dataset import NO_OBJECT, NOTHING, ClassRef, Vocabulary, action_name
from tasks.store.records.record import TARGETS, VERB_ALONE, Target


@dataclass(frozen=True)
class Names:
    """Class names by id; unnamed classes are called `verb-7` or `noun-7`. `targets` are the targets to show, the deciding one last."""

    verbs: dict[int, str]
    nouns: dict[int, str]
    targets: tuple[Target, ...] = TARGETS

    @classmethod
    def of(cls, vocabularies: Iterable[Vocabulary]) -> "Names":
        """Merge several vocabularies; earlier ones win."""
        verbs: dict[int, str] = {}
        nouns: dict[int, str] = {}
        for vocabulary in vocabularies:
            _add(verbs, vocabulary.verbs)
            _add(nouns, vocabulary.nouns)
        return cls(verbs, nouns)

    def of_verbs(self) -> "Names":
        """Reduce to verbs: an action is then named by its verb, whatever its noun."""
        return replace(self, nouns={0: NO_OBJECT}, targets=VERB_ALONE)

    @property
    def nothing_verb(self) -> int | None:
        """Return the id of the verb `nothing`; None if no label says that nothing happens."""
        return next((class_id for class_id, name in self.verbs.items() if name == NOTHING), None)

    def action(self, verb_class: int, noun_class: int) -> int:
        """Compute the id of an action."""
        return action_id(verb_class, noun_class if "noun" in self.targets else 0)

    def name(self, target: Target, class_id: int) -> str:
        """Name a verb, a noun, or an action, such as `put meat` or `wave`."""
        if target == "verb":
            return self.verbs.get(class_id, f"verb-{class_id}")
        if target == "noun":
            return self.nouns.get(class_id, f"noun-{class_id}")
        verb, noun = verb_and_noun(class_id)
        return action_name(self.name("verb", verb), self.name("noun", noun))


def _add(names: dict[int, str], classes: Iterable[ClassRef]) -> None:
    for ref in classes:
        names.setdefault(ref.id, ref.name)
