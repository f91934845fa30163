"""Find doubtful labels by confident learning.

The method is that of Northcutt, Jiang and Chuang (2021), Confident Learning: Estimating Uncertainty in Dataset Labels, J. Artif. Intell. Res. 70,
with the off-diagonal of the confident joint, ranked by self-confidence. The package `cleanlab` has it, too, and much that is not needed here,
and demands probabilities of every clip; the method itself is a few lines of NumPy.

Verbs and nouns are judged each by themselves, because an action has fewer clips than its verb or its noun: with 6 wrong labels among 60 clips of
12 actions, a third of a list of doubtful actions was really wrong, and most of this one.

Legend: n clips, v verbs, o nouns, a actions, k classes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.store.records.dataset import DatasetClip
from tasks.store.records.evaluation import DoubtfulLabel, LabelAudit

MAX_LISTED = 200
"""Clips that an audit names, the most doubtful first."""

Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


def audit_labels(clips: Sequence[DatasetClip], verbs: Floats, nouns: Floats) -> LabelAudit:
    """List the doubtful labels of n clips, the lowest probability of the own label first.

    The likely label is the most probable action of the dataset besides the own one; verb and noun count as independent.

    Args:
        clips: the clips with their labels.
        verbs: (n, v) probabilities of the verbs of `clips`, in order of their names, by networks that did not see the clip's source video. A
            clip's verb is not judged where its probability is not a number.
        nouns: (n, o) probabilities of the nouns.
    """
    every = np.arange(len(clips))
    pairs, action = np.unique([(clip.verb, clip.noun) for clip in clips], axis=0, return_inverse=True)
    is_judged, is_doubtful, own = np.zeros(len(clips), bool), np.zeros(len(clips), bool), np.ones(len(clips))
    product = np.ones((len(clips), len(pairs)))
    for part, probabilities in enumerate((verbs, nouns)):
        class_of_action = np.unique(pairs[:, part], return_inverse=True)[1]
        given = class_of_action[action]
        judged = np.isfinite(probabilities[every, given])
        is_doubtful[judged] |= confident_errors(given[judged], probabilities[judged])
        is_judged |= judged
        own[judged] *= probabilities[judged, given[judged]]
        product *= np.nan_to_num(probabilities)[:, class_of_action]
    product[every, action] = -1
    likely = product.argmax(1)
    ranked = sorted(np.flatnonzero(is_doubtful & (product.max(1) > 0)).tolist(), key=lambda i: own[i])
    listed = [
        DoubtfulLabel(
            uid=clips[i].uid,
            verb=clips[i].verb,
            noun=clips[i].noun,
            probability=float(own[i]),
            likely_verb=str(pairs[likely[i], 0]),
            likely_noun=str(pairs[likely[i], 1]),
            likely_probability=float(product[i, likely[i]]),
        )
        for i in ranked[:MAX_LISTED]
    ]
    return LabelAudit(num_clips=len(clips), num_judged=int(is_judged.sum()), num_doubtful=len(ranked), doubtful=tuple(listed))


def confident_errors(given: Ids, probabilities: Floats) -> NDArray[np.bool_]:
    """Check which clips (n,) lie off the diagonal of the confident joint.

    The threshold of a class is its mean probability in the clips that are labelled so. A clip counts for the class with the highest
    probability among those that reach their threshold, and of none where none does.

    Args:
        given: (n,) the class of each clip by its label.
        probabilities: (n, k); not a number is 0.
    """
    probabilities = np.nan_to_num(probabilities)
    own = probabilities[np.arange(len(given)), given]
    thresholds = [own[given == label].mean() if (given == label).any() else np.inf for label in range(probabilities.shape[1])]
    confident = np.where(probabilities >= thresholds, probabilities, -1.0)
    errors: NDArray[np.bool_] = (confident.max(1) >= 0) & (confident.argmax(1) != given)
    return errors
