"""Describe one training: network, clips, options and machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tasks.learn.augmentation import Augmentation
from tasks.learn.class_names import ClassNames
from tasks.learn.data import CachedClip, View
from tasks.learn.network import Network
from tasks.learn.spec import CONSENSUS_OF_HEADS, Consensus, NetworkSpec
from tasks.options import TrainOptions
from tasks.store.records.dataset import NUM_EPIC_NOUNS, NUM_EPIC_VERBS


@dataclass(frozen=True)
class JoinedNetwork:
    """A frozen network whose features are joined with those of others; `frames` is its file for the `frames` of each clip of the job."""

    network: Network
    frames: Mapping[Path, Path]

    def view_of(self, view: View, options: TrainOptions) -> View:
        """Return what this network sees or hears of a view of the job."""
        spec, frames = self.network.spec, self.frames[view.frames]
        if view.seed is not None:
            return view._replace(frames=frames, augmentation=Augmentation.of(options, spec.modality))
        num_crops = spec.num_crops(view.num_crops)
        return view._replace(frames=frames, num_crops=num_crops, number=view.number if num_crops > 1 else 0)


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

    With `joined`, `network` is a head on the features of those networks, and the frames of clips are only names; this needs a folder of features
    and a single process.

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
    joined: Sequence[JoinedNetwork] = ()

    @property
    def caches_features(self) -> bool:
        """Check whether the heads are trained on cached features."""
        return self.options.trainable == "heads" and self.features is not None


def joint_spec(
    networks: Sequence[Network], options: TrainOptions, num_verbs: int = NUM_EPIC_VERBS, num_nouns: int = NUM_EPIC_NOUNS
) -> NetworkSpec:
    """Describe the head of `options` on the features of several networks.

    It has as many segments as the network that has most, so that no order is lost.
    """
    return NetworkSpec(
        backbone="joined",
        joined=tuple(network.feature_shape[-1] for network in networks),
        num_segments=max(network.spec.num_segments for network in networks),
        consensus=CONSENSUS_OF_HEADS.get(options.head, Consensus.AVERAGE),
        num_verbs=num_verbs,
        num_nouns=num_nouns,
    )
