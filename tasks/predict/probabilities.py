"""Compute calibrated probabilities of verbs, nouns and actions, their entropy and their divergence.

Legend: n clips, k ranks, v verbs, o nouns, p pairs. An action's probability is the product of its verb's and its noun's, since the heads are
independent.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import entr, softmax

from tasks.judge.statistics.answers import NUM_RANKS, Ids, action_id, rank
from tasks.judge.statistics.scoring import Logits
from tasks.store.records.record import Target

Probabilities = NDArray[np.float64]


@dataclass(frozen=True)
class Ranked:
    """The best classes of one target, best first.

    (n, k) ids and (n, k) probabilities; ties by lower id.
    """

    ids: Ids
    probabilities: Probabilities


@dataclass(frozen=True)
class Distributions:
    """One network's probabilities of (n, v) verbs and (n, o) nouns.

    Each row sums to 1. `pairs` are the (p, 2) verbs and nouns that make an action; None if all do.
    """

    verbs: Probabilities
    nouns: Probabilities
    pairs: Ids | None = None

    def ranked(self) -> dict[Target, Ranked]:
        """Rank the best five classes of each target.

        Actions are ranked over all pairs of verb and noun; pairs that make no action come last, with probability 0.
        """
        verbs, nouns = _best(self.verbs), _best(self.nouns)
        # The best k pairs use only the best k verbs and nouns: any other pair is beaten by k pairs with a better verb or noun.
        products = (verbs.probabilities[:, :, None] * nouns.probabilities[:, None, :]).reshape(len(self.verbs), -1)
        actions = action_id(verbs.ids[:, :, None], nouns.ids[:, None, :]).reshape(len(self.verbs), -1)
        if self.pairs is not None:
            known = action_id(self.pairs[:, 0], self.pairs[:, 1])
            products = np.concatenate([self._products(self.pairs), np.where(np.isin(actions, known), -1.0, 0.0)], axis=1)
            actions = np.concatenate([np.broadcast_to(known, (len(actions), len(known))), actions], axis=1)
        order = np.argsort(-products, axis=1, kind="stable")[:, :NUM_RANKS]
        best = Ranked(np.take_along_axis(actions, order, axis=1), np.take_along_axis(products, order, axis=1))
        return {"verb": verbs, "noun": nouns, "action": best}

    def best(self) -> tuple[Ids, Ids, Probabilities]:
        """Find the (n,) verb, noun and probability of the likeliest action."""
        if self.pairs is None:
            return self.verbs.argmax(axis=1), self.nouns.argmax(axis=1), self.verbs.max(axis=1) * self.nouns.max(axis=1)
        products = self._products(self.pairs)
        verbs, nouns = self.pairs[products.argmax(axis=1)].T
        return verbs, nouns, products.max(axis=1)

    def _products(self, pairs: Ids) -> Probabilities:
        return self.verbs[:, pairs[:, 0]] * self.nouns[:, pairs[:, 1]]

    def entropies(self) -> Probabilities:
        """Compute the (n,) entropies of the action as shares of the maximum.

        0 is certain, 1 is uniform.
        """
        most = np.log(self.verbs.shape[1]) + np.log(self.nouns.shape[1])
        shares: Probabilities = (entr(self.verbs).sum(axis=1) + entr(self.nouns).sum(axis=1)) / most
        return shares


def distributions(
    verb_logits: Logits, noun_logits: Logits, verb_temperature: float, noun_temperature: float, pairs: Iterable[tuple[int, int]] = ()
) -> Distributions:
    """Apply softmax to logits (n, v) and (n, o), divided by their head's temperature.

    Without `pairs`, all make an action.
    """
    known = [(verb, noun) for verb, noun in sorted(pairs) if verb < verb_logits.shape[1] and noun < noun_logits.shape[1]]
    return Distributions(
        softmax(verb_logits.astype(np.float64) / verb_temperature, axis=1),
        softmax(noun_logits.astype(np.float64) / noun_temperature, axis=1),
        np.array(known, np.int64) if known else None,
    )


def divergences(ours: Distributions, theirs: Distributions) -> Probabilities:
    """Compute the (n,) Jensen-Shannon divergences of two networks over all actions.

    In bits: 0 equal, 1 disjoint. Lin 1991, Divergence measures based on the Shannon entropy.
    """
    found = np.empty(len(ours.verbs))
    num_verbs, num_nouns = (max(one.shape[1], other.shape[1]) for one, other in ((ours.verbs, theirs.verbs), (ours.nouns, theirs.nouns)))
    for i in range(len(found)):
        p, q = (np.outer(_widened(one.verbs[i], num_verbs), _widened(one.nouns[i], num_nouns)) for one in (ours, theirs))
        # entr is in nats.
        found[i] = (entr((p + q) / 2).sum() - (entr(p).sum() + entr(q).sum()) / 2) / np.log(2)
    return np.clip(found, 0.0, 1.0)


def _widened(probabilities: Probabilities, size: int) -> Probabilities:
    """Pad (c,) to (size,): classes without an output have probability 0."""
    return np.pad(probabilities, (0, size - len(probabilities)))


def _best(probabilities: Probabilities) -> Ranked:
    ids = rank(probabilities)
    return Ranked(ids, np.take_along_axis(probabilities, ids, axis=1))
