"""Describe one training: network, clips, options and machine."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tasks.model.class_names import ClassNames
from tasks.model.data import CachedClip
from tasks.model.network import Network
from tasks.options import TrainOptions


@dataclass(frozen=True)
class TrainJob:
    """Everything that one training needs.

    `folder` holds best.pt, last.ckpt and tensorboard/. If there is a last.ckpt, training resumes from it and also needs best.pt, except with
    cached features: then last.ckpt includes the best heads, and best.pt is written at the end.
    `network` is modified by training. If `classes` have no objects, only verbs are trained. With `num_workers` None, clips are read in this
    process on a CPU, and in up to 8 worker processes with a GPU.

    If only the heads are trained, epochs cycle through `feature_variants` views of each clip, whose features are cached under `features` and
    shared with other trainings. Without that folder every epoch computes them again, with the same results up to rounding. Processes on
    one machine must use the same folder.

    `devices` processes train together (see `processes`), each on its own GPU or all on the CPU. The batch
    size is the total over all processes, so results equal those of a single process, up to rounding and the random numbers of dropout and
    backbone. They differ more with mixup, and on CPUs with trainable batch-norm, because both see only one process's part of a batch. Each
    process has its own folder; only the first process writes to its folder. Either all processes find the same last.ckpt, or none finds one.
    """

    network: Network
    classes: ClassNames
    train: Sequence[CachedClip]
    val: Sequence[CachedClip]
    options: TrainOptions
    folder: Path
    device: Literal["auto", "cpu", "cuda"] = "auto"
    num_workers: int | None = None
    features: Path | None = None
    devices: int = 1

    @property
    def caches_features(self) -> bool:
        """Check whether the heads are trained on cached features."""
        return self.options.trainable == "heads" and self.features is not None
