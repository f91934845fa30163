"""Measure how far labels can be trusted, by two readers and by confident learning.

Agreement beyond chance is Cohen's kappa (1960). Doubtful labels are found by the method of Northcutt, Jiang and Chuang (2021), Confident
Learning: Estimating Uncertainty in Dataset Labels, J. Artif. Intell. Res. 70, with the off-diagonal of the confident joint, ranked by
self-confidence. The package `cleanlab` has it, too, and much that is not needed here, and demands probabilities of every clip; the method
itself is a few lines of NumPy.

Legend: n clips, s source videos, r resamples, c answers, v verbs, o nouns, k classes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.judge.statistics.uncertainty import expanded_interval, interval_around, resampled_counts
from tasks.store.records.dataset import MIN_VIDEOS_OF_AGREEMENT, Agreement, DatasetClip
from tasks.store.records.evaluation import DoubtfulLabel, LabelAudit

NUM_DRAWS = 1000
MAX_LISTED = 200
"""Clips that an audit names, the most doubtful first."""

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]
Ids = NDArray[np.int64]


def agreement(pairs: Sequence[tuple[str, str, str]], num_resamples: int = NUM_DRAWS) -> Agreement | None:
    """Compute kappa of clips, each with its video and two answers.

    Its interval is over videos. None without clips.
    """
    if not pairs:
        return None
    videos, firsts, seconds = zip(*pairs, strict=True)
    names, video = np.unique(videos, return_inverse=True)
    answers, answer = np.unique((firsts, seconds), return_inverse=True)
    first, second = answer.reshape(2, -1)
    agreed, clips = np.bincount(video, weights=first == second).astype(np.int64), np.bincount(video)
    shape = len(names), len(answers)
    cells = (video * shape[1] + reader for reader in (first, second))
    by_first, by_second = (np.bincount(cell, minlength=shape[0] * shape[1]).reshape(shape) for cell in cells)
    kappa = float(_kappas(agreed, clips, by_first, by_second, np.ones((1, len(names)), np.int64))[0])
    return Agreement(
        num_clips=len(pairs),
        num_videos=len(names),
        share=float((first == second).mean()),
        kappa=None if np.isnan(kappa) else kappa,
        interval=None if np.isnan(kappa) else _interval(kappa, agreed, clips, by_first, by_second, num_resamples),
    )


def _kappas(agreed: Counts, clips: Counts, first: Counts, second: Counts, times: Counts) -> NDArray[np.float64]:
    """Compute kappa (r,) where videos count `times` (r, s); NaN for a single answer."""
    total = times @ clips
    by_chance = ((times @ first) * (times @ second)).sum(axis=1) / total**2
    differ = 1 - by_chance
    kappas: NDArray[np.float64] = np.divide((times @ agreed) / total - by_chance, differ, out=np.full(len(total), np.nan), where=differ > 0)
    return kappas


def _interval(kappa: float, agreed: Counts, clips: Counts, first: Counts, second: Counts, num_resamples: int) -> tuple[float, float] | None:
    """Compute the 95 % interval of kappa from resampled source videos; None with too few.

    Where readers differ on no clip or on few, resamples show no spread. So the interval is at least as wide as that of the share of clips
    with the same answer, which `top1_interval` describes, turned into a kappa by the share that agrees by chance: with no difference in n
    clips, its lower limit is that of Clopper and Pearson for as many independent clips as the n are worth. A resample with one answer alone
    counts as 1, because in it nobody differs. `docs/evidence.md` shows the simulated coverage.
    """
    num_videos = len(clips)
    if num_videos < MIN_VIDEOS_OF_AGREEMENT:
        return None
    values = [_kappas(agreed, clips, first, second, times) for times in resampled_counts(num_videos, num_resamples, max(first.shape))]
    low, high = expanded_interval(np.nan_to_num(np.concatenate(values), nan=1.0), kappa, num_videos)
    share = float(agreed.sum() / clips.sum())
    by_chance = float((first.sum(axis=0) * second.sum(axis=0)).sum() / clips.sum() ** 2)
    of_share = [(limit - by_chance) / (1 - by_chance) for limit in interval_around(share, agreed, clips)]
    return max(-1.0, min(low, of_share[0])), min(1.0, max(high, of_share[1]))


def audit_labels(clips: Sequence[DatasetClip], verbs: Floats, nouns: Floats) -> LabelAudit:
    """List the doubtful labels of n clips, the lowest probability of the own label first.

    The likely label is the most probable action of the dataset besides the own one; verb and noun count as independent. They are judged each by
    themselves, because an action has fewer clips than its verb or its noun: with 6 wrong labels among 60 clips of 12 actions, a third of a list of
    doubtful actions was really wrong, and most of this one.

    Args:
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
