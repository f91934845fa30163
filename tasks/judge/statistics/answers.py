"""Rank the verbs, nouns and actions that a network predicts from its logits.

Legend: n clips, k ranks, v verbs, o nouns.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tasks.judge.statistics.scoring import Logits, ScoredClips
from tasks.store.records.dataset import ClassRef, Vocabulary, action_name
from tasks.store.records.record import Target

NUM_RANKS = 5

Ids = NDArray[np.int64]
IdOrIds = TypeVar("IdOrIds", int, Ids)

ACTION_ID_STRIDE = 1 << 32
"""Larger than any noun head, so that action ids are equal for all networks. An action id means the same verb and noun for every network."""


def action_id(verb: IdOrIds, noun: IdOrIds) -> IdOrIds:
    """Combine a verb id and a noun id into one action id."""
    return verb * ACTION_ID_STRIDE + noun


def verb_and_noun(action: int) -> tuple[int, int]:
    """Split an action id into its verb id and noun id."""
    return divmod(action, ACTION_ID_STRIDE)


@dataclass(frozen=True)
class Answers:
    """True and predicted classes of one target.

    Attributes:
        true: (n,) class ids.
        ranked: (n, k) predicted class ids, best first.
        names: the name of each class id in `true` or among the top-1 predictions.
    """

    target: Target
    true: Ids
    ranked: Ids
    names: dict[int, str]

    @property
    def predicted(self) -> Ids:
        """Return the (n,) top-1 predictions."""
        return self.ranked[:, 0]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Return (n,) whether the top-1 prediction is right."""
        return np.equal(self.true, self.predicted)


def answers_of(clips: ScoredClips, vocabulary: Vocabulary) -> dict[Target, Answers]:
    """Rank verbs, nouns and actions for every clip.

    An action is right when verb and noun are right. Actions are ranked by log-probability of the verb plus that of the noun, over all
    pairs. Of equal classes the lower id comes first, of equal actions that with the likelier verb, so the ranking is the same on every machine.
    A class missing from the vocabulary is called `verb-7` or `noun-7`.
    """
    verbs, nouns = rank(clips.verb_logits), rank(clips.noun_logits)
    verb_name, noun_name = _namer(vocabulary.verbs, "verb"), _namer(vocabulary.nouns, "noun")

    def name_of_action(action: int) -> str:
        verb, noun = verb_and_noun(action)
        return action_name(verb_name(verb), noun_name(noun))

    true_actions = action_id(clips.verb_classes, clips.noun_classes)
    return {
        "verb": _answers("verb", clips.verb_classes, verbs, verb_name),
        "noun": _answers("noun", clips.noun_classes, nouns, noun_name),
        "action": _answers("action", true_actions, _rank_actions(clips, verbs, nouns), name_of_action),
    }


def rank(logits: Logits | NDArray[np.float64], num_ranks: int = NUM_RANKS) -> Ids:
    """Return the best class ids (n, num_ranks), best first; ties go to the lower id."""
    order: Ids = np.argsort(-logits, axis=1, kind="stable")
    return order[:, :num_ranks]


def _rank_actions(clips: ScoredClips, verbs: Ids, nouns: Ids) -> Ids:
    # The best k actions combine the best k verbs with the best k nouns: any other action is beaten by k of these.
    # Log-softmax subtracts one constant per clip, so sums of logits rank like sums of log-probabilities.
    verb_logits = np.take_along_axis(clips.verb_logits, verbs, axis=1).astype(np.float64)
    noun_logits = np.take_along_axis(clips.noun_logits, nouns, axis=1).astype(np.float64)
    sums = (verb_logits[:, :, None] + noun_logits[:, None, :]).reshape(len(verbs), -1)
    actions = action_id(verbs[:, :, None], nouns[:, None, :]).reshape(len(verbs), -1)
    order = np.argsort(-sums, axis=1, kind="stable")[:, :NUM_RANKS]
    return np.take_along_axis(actions, order, axis=1)


def _namer(classes: Iterable[ClassRef], kind: str) -> Callable[[int], str]:
    known = {ref.id: ref.name for ref in classes}
    return lambda class_id: known.get(class_id, f"{kind}-{class_id}")


def _answers(target: Target, true: Ids, ranked: Ids, name: Callable[[int], str]) -> Answers:
    ids = np.union1d(true, ranked[:, 0]).tolist()
    return Answers(target, true, ranked, {class_id: name(class_id) for class_id in ids})
