"""From logits to answers: which verb, noun and action a network names, best first.

Legend: n clips, k ranks, v verbs, o nouns.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from tasks.evaluation.scoring import Logits, ScoredClips
from tasks.results.dataset import ClassRef, Vocabulary, action_name
from tasks.results.record import Target

NUM_RANKS = 5

Ids = NDArray[np.int64]
IdOrIds = TypeVar("IdOrIds", int, Ids)

NOUNS_A_VERB = 1 << 32
"""More than any head has, so that an action's id means the same verb and noun to networks of any size."""


def action_id(verb: IdOrIds, noun: IdOrIds) -> IdOrIds:
    """One id for a verb and a noun."""
    return verb * NOUNS_A_VERB + noun


def verb_and_noun(action: int) -> tuple[int, int]:
    """The class ids that an action's id stands for."""
    return divmod(action, NOUNS_A_VERB)


@dataclass(frozen=True)
class Answers:
    """True and named classes of one target.

    Attributes:
        true: (n,) class ids.
        ranked: (n, k) class ids, the network's best guess first.
        names: every id among `true` and the best guesses, with its name.
    """

    target: Target
    true: Ids
    ranked: Ids
    names: dict[int, str]

    @property
    def predicted(self) -> Ids:
        """(n,) the best guesses."""
        return self.ranked[:, 0]

    @property
    def right(self) -> NDArray[np.bool_]:
        """(n,) whether the best guess is true."""
        return np.equal(self.true, self.predicted)


def answers_of(clips: ScoredClips, vocabulary: Vocabulary) -> dict[Target, Answers]:
    """What the network says of every clip, for verbs, nouns and actions.

    An action is right when verb and noun are right. Actions rank by log-probability of the verb plus that of the noun, over all pairs.
    Equal logits rank by class id, so that the answer never depends on the machine. A class that no label names is called `verb-7` or `noun-7`.
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
    """Ids of the best classes, (n, num_ranks), by logits or probabilities, best first; the lower id first where these are equal."""
    order: Ids = np.argsort(-logits, axis=1, kind="stable")
    return order[:, :num_ranks]


def _rank_actions(clips: ScoredClips, verbs: Ids, nouns: Ids) -> Ids:
    # No action outside the best k verbs and best k nouns can be among the best k: k others beat it in one of the two.
    # Softmax takes the same constant off every logit of a clip, so sums of logits rank as sums of log-probabilities do.
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
