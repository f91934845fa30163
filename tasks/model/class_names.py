"""The names of a network's classes: one for each of its logits."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tasks.model.spec import NetworkSpec
from tasks.results.dataset import NO_OBJECT, Vocabulary


class ClassNames(BaseModel):
    """The names behind the class ids, in order. Without objects a network was taught verbs alone, and its nouns mean nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verbs: tuple[str, ...]
    nouns: tuple[str, ...]
    has_objects: bool = True

    def content(self) -> dict[str, object]:
        """What a checkpoint holds of it; of a network that was taught nouns, the same bytes as ever."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @property
    def known_verbs(self) -> frozenset[int]:
        """Ids of the verbs that the network can name: those with a name of their own, or all of a start, which names none."""
        return self._known("verb", self.verbs)

    @property
    def known_nouns(self) -> frozenset[int]:
        """Likewise of nouns; the given one alone where there is one."""
        return self._known("noun", self.nouns) if self.given_noun is None else frozenset({self.given_noun})

    @property
    def given_noun(self) -> int | None:
        """The id of the noun that stands for no object, which a network that was taught verbs alone always answers; else None."""
        return None if self.has_objects else self.nouns.index(NO_OBJECT)

    def _known(self, target: Literal["verb", "noun"], names: Sequence[str]) -> frozenset[int]:
        named = frozenset(i for i, name in enumerate(names) if name != placeholder(target, i))
        return named or frozenset(range(len(names)))


def placeholder(target: Literal["verb", "noun"], class_id: int) -> str:
    """What stands for the name of a class that has none, as `verb-7`."""
    return f"{target}-{class_id}"


def no_names(spec: NetworkSpec) -> ClassNames:
    """`verb-7` or `noun-7` for every logit: the names in a start, whose classes nobody has named."""
    return ClassNames(
        verbs=tuple(placeholder("verb", i) for i in range(spec.num_verbs)),
        nouns=tuple(placeholder("noun", i) for i in range(spec.num_nouns)),
    )


def trained_names(vocabulary: Vocabulary, start: ClassNames, spec: NetworkSpec) -> ClassNames:
    """A name for every logit of a network that was trained: the vocabulary's, else the one that its start had."""
    unnamed = no_names(spec)
    verbs = dict(enumerate(unnamed.verbs)) | dict(enumerate(start.verbs)) | {ref.id: ref.name for ref in vocabulary.verbs}
    nouns = dict(enumerate(unnamed.nouns)) | dict(enumerate(start.nouns)) | {ref.id: ref.name for ref in vocabulary.nouns}
    return ClassNames(verbs=tuple(verbs.values()), nouns=tuple(nouns.values()), has_objects=vocabulary.has_objects)
