"""Divide the training clips of a dataset into folds by source video, for cross-validation."""

import warnings
from collections import Counter

from sklearn.model_selection import StratifiedGroupKFold

from tasks.errors import BadDataset
from tasks.results.dataset import Manifest

RARE = ""
"""Stratum of the clips of rare actions."""


def folds_of(manifest: Manifest, num_folds: int, seed: int) -> list[Manifest]:
    """Make one dataset per fold by splitting train.

    A fold's val is a part of train, and its train is the rest of train. The dataset's own val and test are left out. Clips of one source
    are in one fold, and folds have similar shares of each action, as far as whole sources allow.

    Raises:
        BadDataset: train has fewer sources than folds.
    """
    clips = [clip for clip in manifest.clips if clip.split == "train"]
    sources = [clip.source for clip in clips]
    if len(set(sources)) < num_folds:
        raise BadDataset(
            f"{num_folds} folds need as many source videos in train, and there are {len(set(sources))}; choose fewer folds, or add videos"
        )
    num_clips = Counter(clip.action for clip in clips)
    # An action that cannot be in every fold is not spread over them; scikit-learn rejects data that has only such actions.
    strata = [clip.action if num_clips[clip.action] >= num_folds else RARE for clip in clips]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The least populated class")
        folds = list(StratifiedGroupKFold(num_folds, shuffle=True, random_state=seed).split(clips, strata, sources))
    return [
        manifest.model_copy(
            update={
                "clips": tuple(
                    clip.model_copy(update={"split": "val" if index in held_out else "train"}) for index, clip in enumerate(clips)
                )
            }
        )
        for held_out in (set(indices.tolist()) for _, indices in folds)
    ]
