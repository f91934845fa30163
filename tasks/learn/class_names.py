"""Name the classes of a network, one per logit."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict

from tasks.learn.spec import NetworkSpec
from tasks.store.records.dataset import NO_OBJECT, NOTHING, Vocabulary


class ClassNames(BaseModel):
    """Class names by id.

    Without objects the network was trained on verbs alone, and its noun logits are meaningless.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    verbs: tuple[str, ...]
    nouns: tuple[str, ...]
    has_objects: bool = True

    def content(self) -> dict[str, object]:
        """Return the names as stored in a checkpoint.

        Defaults are left out, so networks with nouns keep their bytes.
        """
        return self.model_dump(mode="json", exclude_defaults=True)

    @property
    def known_verbs(self) -> frozenset[int]:
        """List the ids of verbs that the network can predict.

        The named ones, or all if none is named.
        """
        return self._known("verb", self.verbs)

    @property
    def known_nouns(self) -> frozenset[int]:
        """List the ids of the nouns that the network can predict.

        Only the given one if there is one.
        """
        return self._known("noun", self.nouns) if self.given_noun is None else frozenset({self.given_noun})

    @property
    def given_noun(self) -> int | None:
        """Return the id of the "no object" noun of a network without objects.

        Such a network, trained on verbs alone, always predicts it; else None.
        """
        return None if self.has_objects else self.nouns.index(NO_OBJECT)

    @property
    def nothing(self) -> int | None:
        """Return the id of the verb of clips in which nothing happens; None if no verb is named so."""
        return self.verbs.index(NOTHING) if NOTHING in self.verbs else None

    def _known(self, target: Literal["verb", "noun"], names: Sequence[str]) -> frozenset[int]:
        named = frozenset(i for i, name in enumerate(names) if name != placeholder(target, i))
        return named or frozenset(range(len(names)))


def placeholder(target: Literal["verb", "noun"], class_id: int) -> str:
    """Return the placeholder name of an unnamed class, such as `verb-7`."""
    return f"{target}-{class_id}"


def no_names(spec: NetworkSpec) -> ClassNames:
    """Return placeholder names for every logit, as in a network before training."""
    return ClassNames(
        verbs=tuple(placeholder("verb", i) for i in range(spec.num_verbs)),
        nouns=tuple(placeholder("noun", i) for i in range(spec.num_nouns)),
    )


def trained_names(vocabulary: Vocabulary, start: ClassNames, spec: NetworkSpec) -> ClassNames:
    """Name every logit of a trained network: by the vocabulary, else as before training."""
    unnamed = no_names(spec)
    verbs = dict(enumerate(unnamed.verbs)) | dict(enumerate(start.verbs)) | {ref.id: ref.name for ref in vocabulary.verbs}
    nouns = dict(enumerate(unnamed.nouns)) | dict(enumerate(start.nouns)) | {ref.id: ref.name for ref in vocabulary.nouns}
    return ClassNames(verbs=tuple(verbs.values()), nouns=tuple(nouns.values()), has_objects=vocabulary.has_objects)
