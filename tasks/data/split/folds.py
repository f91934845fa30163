"""Divide training clips into folds by source, for cross-validation, and shares, for a learning curve."""

import math
import warnings
from collections import Counter
from collections.abc import Sequence, Set

import numpy as np
from sklearn.model_selection import StratifiedGroupKFold

from tasks.data.split.manifest import is_counted
from tasks.errors import BadDataset
from tasks.store.records.dataset import Manifest

SHARES = (0.1, 0.2, 0.5, 1.0)


def folds_of(manifest: Manifest, num_folds: int, seed: int) -> list[Manifest]:
    """Make a dataset per fold: a part of train as val, the rest as train.

    The dataset's own val and test are left out. Clips of a source are in one fold, and folds have similar shares of each action, as far as whole
    sources allow.

    Raises:
        BadDataset: train has fewer sources than folds, or a fold would be validated on no action.
    """
    clips = [clip for clip in manifest.clips if clip.split == "train"]
    sources = [clip.source for clip in clips]
    if len(set(sources)) < num_folds:
        raise BadDataset(
            f"{num_folds} folds need as many source videos in train, and it has {len(set(sources))}; choose fewer, or folds=0, which scores on "
            "val, or add labelled videos"
        )
    num_clips = Counter(clip.action for clip in clips)
    # An action that cannot be in every fold is not spread over them; scikit-learn rejects data that has only such actions.
    strata = [clip.action if num_clips[clip.action] >= num_folds else "" for clip in clips]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        parts = list(StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed).split(clips, strata, sources))
    folds = [_fold(manifest, {sources[index] for index in held_out}) for _, held_out in parts]
    for number, fold in enumerate(folds, 1):
        if not any(clip.split == "val" and clip.has_action for clip in fold.clips):
            raise BadDataset(
                f"nothing happens in any validation clip of fold {number}; choose fewer folds, or folds=0, which scores on val, or label more actions"
            )
    return folds


def _fold(manifest: Manifest, held_out: Set[str]) -> Manifest:
    """Keep the training clips, those of the sources `held_out` as val."""
    divided = (
        clip.model_copy(update={"split": "val" if clip.source in held_out else "train"}) for clip in manifest.clips if clip.split == "train"
    )
    return manifest.model_copy(update={"clips": tuple(clip for clip in divided if is_counted(manifest.segment, clip.around, clip.split))})


def subset_sizes(num_clips: int) -> list[int]:
    """Round `SHARES` to different numbers of clips, at least one."""
    return sorted({max(1, math.floor(share * num_clips + 0.5)) for share in SHARES})


def random_orders(sources: Sequence[str], num_draws: int, seed: int) -> list[list[int]]:
    """Draw orders of indices of clips that keep a source video's clips together.

    The first n clips of an order are a subset of n clips: whole source videos, and only the last may be cut. So the subsets of an order are
    nested. Videos, and the clips within a video, are in random order; with a single video, subsets are random clips of it. `sources` (n,) has the
    source video of each clip.
    """
    clips_of: dict[str, list[int]] = {}
    for index, source in enumerate(sources):
        clips_of.setdefault(source, []).append(index)
    names = sorted(clips_of)
    orders = []
    for draw in range(num_draws):
        rng = np.random.default_rng([seed, draw])
        drawn = [rng.permutation(clips_of[names[number]]) for number in rng.permutation(len(names))]
        orders.append([int(clip) for clips in drawn for clip in clips])
    return orders
