"""Compare the actions that are predicted in new films with those of the training clips.

Legend: c actions, r films held out of training, s new films.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import comb

import numpy as np
from numpy.typing import NDArray

from tasks.predict.names import Names
from tasks.predict.shift import FALSE_ALARMS
from tasks.wording import count, p_value, percent

NUM_DEALS, SEED = 5000, 0


@dataclass(frozen=True)
class ClassMix:
    """The predicted actions of new films beside the labels of the training clips.

    `distance` is the total variation between the two, from 0 to 1. `p_value` is the chance of one as large if new films were like the `num_films`
    held out of training; None if these are too few. `action` has the largest excess: it is predicted in `share` of the clips, and has
    `trained_share` of the labels.
    """

    distance: float
    p_value: float | None
    num_films: int
    action: int
    share: float
    trained_share: float


def class_mix(new: Sequence[Sequence[int]], held_out: Sequence[Sequence[int]], trained: Mapping[int, int]) -> ClassMix:
    """Test by permuting films whether the predicted actions of new ones differ more from the labels than those of held-out ones.

    Args:
        new: (s,) the predicted action ids of each new film's clips.
        held_out: (r,) the same of films that trained nothing.
        trained: number of training clips by the action of their label.
    """
    classes = sorted({*trained, *(action for film in (*new, *held_out) for action in film)})
    counts = np.array([[film.count(action) for action in classes] for film in map(list, (*new, *held_out))], np.float64)
    labels = np.array([trained.get(action, 0) for action in classes], np.float64)
    labels /= labels.sum()
    shares = _shares(np.arange(len(counts))[None] < len(new), counts)
    distance = float(_distances(shares, labels)[0])
    chance = None
    if FALSE_ALARMS * comb(len(counts), len(new)) >= 1:
        chance = float((_distances(_shares(_deals(len(counts), len(new)), counts), labels) >= distance - 1e-9).mean())
    most = int((shares[0] - labels).argmax())
    return ClassMix(distance, chance, len(held_out), classes[most], float(shares[0, most]), float(labels[most]))


def in_words(mix: ClassMix, names: Names) -> str:
    """Say how the predicted actions differ from the labels of the training clips."""
    target, held_out = names.targets[-1], f"{count(mix.num_films, 'film')} held out of training"
    if mix.p_value is None:
        compared = f"; {held_out} are too few to tell whether that is usual"
    elif mix.p_value <= FALSE_ALARMS:
        compared = f", more than in {held_out} ({p_value(mix.p_value)})"
    else:
        compared = f", no more than in {held_out} ({p_value(mix.p_value)})"
    return (
        f"Predicted {target}s differ from the labels of the training clips by a total variation of {percent(mix.distance)}{compared}. The largest "
        f"excess: {names.name('action', mix.action)}, predicted in {percent(mix.share)} of the clips, has {percent(mix.trained_share)} of the labels."
    )


def _deals(num_films: int, num_new: int) -> NDArray[np.bool_]:
    """List the ways to call `num_new` of the films new, or draw some of many; the true one comes first."""
    if comb(num_films, num_new) <= NUM_DEALS:
        chosen = np.array(list(combinations(range(num_films), num_new)))
    else:
        drawn = np.random.default_rng(SEED).random((NUM_DEALS, num_films)).argsort(axis=1)[:, :num_new]
        chosen = np.concatenate([np.arange(num_new)[None], drawn])
    deals = np.zeros((len(chosen), num_films), np.bool_)
    np.put_along_axis(deals, chosen, values=True, axis=1)
    return deals


def _shares(deals: NDArray[np.bool_], counts: NDArray[np.float64]) -> NDArray[np.float64]:
    pooled = deals @ counts
    shares: NDArray[np.float64] = pooled / pooled.sum(axis=1, keepdims=True)
    return shares


def _distances(shares: NDArray[np.float64], labels: NDArray[np.float64]) -> NDArray[np.float64]:
    distances: NDArray[np.float64] = np.abs(shares - labels).sum(axis=1) / 2
    return distances
