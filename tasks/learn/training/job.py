"""Describe one training, set up its module and loaders, and score its earlier heads."""

# n: clips, t: segments, f: features, v: verbs, o: nouns

import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from tasks.errors import BadCheckpoint
from tasks.learn.engines.choice import float32_engine
from tasks.learn.engines.engine import Engine, prepare
from tasks.learn.hardware import Device, WantedDevice, choose_device
from tasks.learn.inputs.crops import Augmentation
from tasks.learn.inputs.data import (
    READ_AHEAD,
    CachedClip,
    ClipDataset,
    ClipKey,
    EpochSampler,
    Sample,
    Source,
    View,
    make_loader,
    with_label_noise,
)
from tasks.learn.inputs.features import (
    MIXED_PRECISIONS,
    FeatureCache,
    FeatureMemory,
    See,
    compute_features,
    see_by_torch,
    training_features,
)
from tasks.learn.networks.heads import Logits
from tasks.learn.networks.joining import Joining
from tasks.learn.networks.network import Network, synchronise_norms, to_channels_last
from tasks.learn.networks.spec import CONSENSUS_OF_HEADS, ClassNames, NetworkSpec, trained_view
from tasks.learn.networks.weights_file import read_weights
from tasks.learn.training.epochs import LAST
from tasks.learn.training.linear_probe import fit_heads
from tasks.learn.training.module import ActionModule, FittedModule, HeadModule, Learner
from tasks.learn.training.processes import process_rank
from tasks.options import Consensus, Head, TrainOptions
from tasks.store.records.dataset import NUM_EPIC_NOUNS, NUM_EPIC_VERBS
from tasks.wording import size

log = logging.getLogger(__name__)

MAX_WORKERS = 8
BATCHES_PER_WORKER = READ_AHEAD + 1
"""Maximum batches in shared memory for each worker of a loader: those that it reads ahead, and one that is being taken."""
SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - through it, workers hand over their batches
MEMORY_BYTES = 64 * 1024**2
"""Limit of the features kept in memory, enough for some hundred clips."""


class Setup(NamedTuple):
    """A training that is ready to run."""

    module: Learner
    train_loader: DataLoader[Sample]
    val_loader: DataLoader[Sample]


@dataclass(frozen=True)
class JoinedNetwork:
    """A frozen network whose features are joined with those of others.

    `frames` maps the `frames` of each clip of the job to the file for this network.
    """

    network: Network
    frames: Mapping[Path, Path]

    def view_of(self, view: View, options: TrainOptions) -> View:
        """Return the same view of this network's frames, with its own crops and augmentation."""
        spec, frames = self.network.spec, self.frames[view.frames]
        if view.seed is not None:
            return view._replace(frames=frames, augmentation=Augmentation.of(options, spec.modality))
        num_crops = spec.num_crops(view.num_crops)
        return view._replace(frames=frames, num_crops=num_crops, number=view.number if num_crops > 1 else 0)


@dataclass(frozen=True)
class TrainJob:
    """Everything that one training needs.

    Attributes:
        network: modified by training.
        classes: without objects, only verbs are trained.
        folder: holds best.pt and last.ckpt. If there is a last.ckpt, training resumes from it and also needs best.pt, except with cached features:
            then last.ckpt includes the best heads, and best.pt is written at the end. Each process has its own folder. The caller puts the
            same last.ckpt into all of them, or into none; only the first process writes.
        features: folder of cached features, shared with other trainings and by all processes of a machine. Without it every epoch computes
            them again, with the same results up to rounding.
        devices: number of processes that train together (see `processes`), each on its own GPU or all on the CPU. The batch size is the total
            over all, so results equal those of a single process, up to rounding and the random numbers of dropout and backbone. They differ
            more on CPUs with trainable batch-norm, which sees only one process's part of a batch.
        joined: networks whose features `network`, a head, takes. The `frames` of a clip then only look up the file of each in
            `JoinedNetwork.frames`; this needs a folder of features and a single process.
        teaching: a teacher's logits of `train`, (clips, verbs) and (clips, nouns); some of these clips may have no label.
    """

    network: Network
    classes: ClassNames
    train: Sequence[CachedClip]
    val: Sequence[CachedClip]
    options: TrainOptions
    folder: Path
    device: WantedDevice = "auto"
    features: Path | None = None
    devices: int = 1
    joined: Sequence[JoinedNetwork] = ()
    teaching: Logits | None = None

    @property
    def caches_features(self) -> bool:
        """Check whether the heads are trained on cached features."""
        return self.options.trainable == "heads" and self.features is not None


def joint_spec(
    networks: Sequence[Network], options: TrainOptions, num_verbs: int = NUM_EPIC_VERBS, num_nouns: int = NUM_EPIC_NOUNS
) -> NetworkSpec:
    """Describe the head of `options` on the features of several networks."""
    return NetworkSpec(
        backbone="joined",
        joined=tuple(network.num_features for network in networks),
        num_segments=max(network.spec.num_segments for network in networks),  # so that no order is lost
        consensus=CONSENSUS_OF_HEADS.get(options.head, Consensus.AVERAGE),
        num_verbs=num_verbs,
        num_nouns=num_nouns,
    )


def set_up_images(job: TrainJob, device: Device) -> Setup:
    """Set up training the network on images."""
    network = synchronise_norms(job.network) if device == "cuda" and job.devices > 1 else job.network
    spec, num_clips = job.network.spec, job.options.batch_size // job.devices
    trained = trained_view(spec, job.options)
    train, val = training_clips(job, partial(View.images, spec=trained)), validation_clips(job, partial(View.images, spec=spec))
    module = ActionModule(to_channels_last(network), job.options, train.clips, job.classes, job.teaching)
    return Setup(
        module,
        _loader(job, device, train, _num_workers(job, device, trained, num_clips)),
        _loader(job, device, val, _num_workers(job, device, spec, num_clips * val.num_crops)),
    )


def open_cache(job: TrainJob, network: Network) -> FeatureCache:
    """Open the cache of a network's features for a job with a folder of features."""
    assert job.features is not None  # noqa: S101 - for mypy; the caller has checked `caches_features`
    return training_features(job.features, network, job.options.precision)


def cached_features(job: TrainJob, device: Device) -> Source:
    """Compute missing features, and return a function that reads those of a view."""
    if job.joined:
        return _joined_features(job, device)
    cache = open_cache(job, job.network)
    compute_missing(job, device, cache, views_of(job))
    return _reading(cache)


def _reading(cache: FeatureCache) -> Source:
    memory = FeatureMemory(MEMORY_BYTES)
    return lambda view: memory.read(cache, view.name)


def _joined_features(job: TrainJob, device: Device) -> Source:
    """Compute missing features of all joined networks; the function standardises and joins them."""
    caches = [open_cache(job, member.network) for member in job.joined]
    for member, cache in zip(job.joined, caches, strict=True):
        own_views = dict.fromkeys(member.view_of(view, job.options) for view in views_of(job))
        compute_missing(replace(job, network=member.network, joined=()), device, cache, list(own_views))
    memory = FeatureMemory(MEMORY_BYTES)
    joining = job.network.backbone
    assert isinstance(joining, Joining)  # noqa: S101 - for mypy; a head on joined features has no other backbone

    def features(view: View) -> list[Tensor]:
        names = (member.view_of(view, job.options).name for member in job.joined)
        return [memory.read(cache, name)[None] for cache, name in zip(caches, names, strict=True)]

    joining.fit(map(features, train_views(job)))
    return lambda view: joining.forward(features(view))[0]


def set_up_heads(job: TrainJob, device: Device, read: Source) -> Setup:
    """Set up training the heads on features (t, f) of `read`; a probe is fitted."""
    train, val = training_clips(job, read), validation_clips(job, read)
    is_probe = job.options.head is Head.PROBE
    if is_probe and not (job.folder / LAST).exists():
        _fit_probe(job, train)
    module = (FittedModule if is_probe else HeadModule)(job.network, job.options, train.clips, job.classes, job.teaching)
    # Reading a feature is faster than passing it between processes, so there are no workers.
    return Setup(module, _loader(job, device, train, 0), _loader(job, device, val, 0))


def views_of(job: TrainJob) -> list[View]:
    """List the distinct views of all epochs and validations."""
    return train_views(job) + validation_clips(job, partial(View.images, spec=job.network.spec)).views(1)


def train_views(job: TrainJob) -> list[View]:
    """List the distinct views of the training clips in all epochs."""
    # A probe is fitted to the mean of a clip's views.
    num_epochs = job.options.feature_variants if job.options.head is Head.PROBE else job.options.epochs
    return training_clips(job, partial(View.images, spec=job.network.spec)).views(num_epochs)


def _fit_probe(job: TrainJob, train: ClipDataset) -> None:
    """Fit the heads to each clip's mean features over its views and segments."""
    num_views = job.options.feature_variants if train.draws_views else 1

    def mean(clip: int) -> Tensor:
        views = (train[ClipKey(epoch=view, clip=clip)].inputs for view in range(num_views))
        return torch.stack([inputs.mean(0) for inputs in views]).double().mean(0)

    clips = train.clips
    fit_heads(
        job.network.head,
        torch.stack([mean(clip) for clip in range(len(train))]).numpy(),
        np.array([clip.verb for clip in clips]),
        np.array([clip.noun for clip in clips]) if job.classes.has_objects else None,
        [clip.source or clip.frames.stem for clip in clips],
        balanced=job.options.class_weights == "balanced",
    )


def compute_missing(job: TrainJob, device: Device, cache: FeatureCache, views: list[View]) -> None:
    """Compute missing features, divided among the processes of a training."""
    if all(cache.has(view.name) for view in views):
        return
    rank, spec, precision = process_rank(), job.network.spec, job.options.precision
    network = prepare(deepcopy(job.network))
    see: See
    if device == "cpu" and precision not in MIXED_PRECISIONS and not spec.sound:
        see = partial(_see_by_engine, float32_engine(network, len(views)))
    else:
        see = partial(see_by_torch, network, torch.device(device, rank) if device == "cuda" else torch.device(device), precision)
    compute_features(see, spec, views, cache, num_workers=_num_workers(job, device, spec, 1), place=rank / job.devices)


def _see_by_engine(engine: Engine, views: Iterable[tuple[View, Tensor]]) -> Iterator[tuple[View, Tensor]]:
    return engine.stream((view, images.permute(0, 2, 3, 1).numpy()) for view, images in views)


def validation_clips(job: TrainJob, source: Source) -> ClipDataset:
    """Make the dataset of a training's validation clips, whose inputs `source` returns."""
    return ClipDataset(job.val, job.network.spec, source, num_crops=job.options.validation_crops)


def training_clips(job: TrainJob, source: Source) -> ClipDataset:
    """Make the dataset of a training's own clips, whose inputs `source` returns."""
    options, spec = job.options, job.network.spec
    return ClipDataset(
        with_label_noise(job.train, options.label_noise, options.seed) if options.label_noise else job.train,
        spec,
        source,
        options.seed,
        num_views=options.feature_variants if options.trainable == "heads" else None,
        augmentation=Augmentation.of(options, spec.modality),
        middle_frames=options.train_frames == "middle",
        views_seed=options.views_seed,
    )


def _num_workers(job: TrainJob, device: Device, spec: NetworkSpec, num_views: int) -> int:
    """Choose the number of worker processes for batches of `num_views`; 0 means this process."""
    if device == "cpu":
        return 0
    wanted = min(MAX_WORKERS, max(1, len(os.sched_getaffinity(0)) // job.devices))
    batch_bytes = num_views * spec.num_segments * spec.snippet.num_planes * spec.crop_pixels**2
    free_bytes = shutil.disk_usage(SHARED_MEMORY).free
    possible = min(wanted, free_bytes // (job.devices * BATCHES_PER_WORKER * batch_bytes))
    if possible < wanted:
        log.warning(
            "%d of %d processes read clips, because batches of %s have to fit into %s of shared memory; raise RETAKE_SHM_SIZE, or in a pod "
            "RETAKE_KUBERNETES_SHM_SIZE",
            possible, wanted, size(batch_bytes), size(free_bytes),
        )  # fmt: skip
    return possible


def _loader(job: TrainJob, device: Device, dataset: ClipDataset, num_workers: int) -> DataLoader[Sample]:
    sampler = EpochSampler(dataset, process_rank(), job.devices)
    return make_loader(sampler, batch_size=job.options.batch_size // job.devices, num_workers=num_workers, pin_memory=device == "cuda")


def score_heads(job: TrainJob, files: Mapping[int, Path]) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.float32]]]:
    """Yield the logits (n, v), (n, o) of each epoch's heads on the validation clips.

    Logits are averaged over crops.

    Args:
        job: a finished training on cached features.
        files: the file of the heads by epoch, as in `EpochFiles.heads`.

    Raises:
        BadCheckpoint: a file is not one of these heads.
        Unavailable: a cached feature is missing or damaged.
    """
    source = cached_features(job, choose_device(job.device)) if job.joined else _reading(open_cache(job, job.network))
    clips = validation_clips(job, source)
    head = deepcopy(job.network.head).cpu().eval()
    for epoch, path in files.items():
        try:
            head.load_state_dict(read_weights(path))
        except (BadCheckpoint, RuntimeError) as error:
            raise BadCheckpoint(f"{path.name}: not the heads of this training ({error}); train again") from None
        answers = []
        with torch.inference_mode():
            for key in clips.keys(0):
                inputs = clips[key].inputs
                verb, noun = head(inputs if clips.num_crops > 1 else inputs[None])
                answers.append(Logits(verb.mean(0), noun.mean(0)))
        yield epoch, *Logits.stacked(answers).numpy()
