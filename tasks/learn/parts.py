"""Set up a training's module and loaders, on images or on cached features."""

# n: clips, t: segments, f: features

import os
from dataclasses import replace
from functools import partial
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from tasks.learn.augmentation import Augmentation
from tasks.learn.data import ClipDataset, ClipKey, Sample, Source, View
from tasks.learn.epochs import LAST
from tasks.learn.feature_cache import FeatureCache, FeatureMemory
from tasks.learn.features import compute_features, training_features
from tasks.learn.job import TrainJob
from tasks.learn.joining import Joining
from tasks.learn.label_noise import with_label_noise
from tasks.learn.loading import Share, make_loader
from tasks.learn.module import ActionModule, FittedModule, HeadModule, Learner
from tasks.learn.network import synchronise_norms, to_channels_last
from tasks.learn.probe import fit_heads
from tasks.learn.processes import process_rank
from tasks.learn.spec import trained_view
from tasks.options import Head

Device = Literal["cpu", "cuda"]

MAX_WORKERS = 8
MEMORY_BYTES = 64 * 1024**2
"""Limit of the features kept in memory, enough for some hundred clips. It keeps memory use from growing with the number of clips."""

Parts = tuple[Learner, DataLoader[Sample], DataLoader[Sample]]
"""The module, and the loaders of training and validation."""


def image_parts(job: TrainJob, device: Device) -> Parts:
    """Set up training the network on images."""
    network = synchronise_norms(job.network) if device == "cuda" and job.devices > 1 else job.network
    spec = job.network.spec
    train, val = _datasets(job, partial(View.images, spec=trained_view(spec, job.options)), partial(View.images, spec=spec))
    module = ActionModule(
        to_channels_last(network), job.options, train.clips, has_objects=job.classes.has_objects, nothing=job.classes.nothing
    )
    return module, _loader(job, device, train, _num_workers(job, device)), _loader(job, device, val, _num_workers(job, device))


def feature_parts(job: TrainJob, device: Device) -> Parts:
    """Compute missing features, and set up training the heads on them."""
    return head_parts(job, device, joined_features(job, device) if job.joined else network_features(job, device))


def network_features(job: TrainJob, device: Device) -> Source:
    """Compute missing features, and return what reads them by view."""
    assert job.features is not None  # noqa: S101 - for mypy; the caller has checked `caches_features`
    cache = training_features(job.features, job.network, job.options.precision)
    compute(job, device, cache, views_of(job))
    memory = FeatureMemory(MEMORY_BYTES)
    return lambda view: memory.read(cache, view.name)


def joined_features(job: TrainJob, device: Device) -> Source:
    """Compute missing features of all joined networks, standardise them, and return what joins those of a view."""
    assert job.features is not None  # noqa: S101 - for mypy; the caller has checked `caches_features`
    caches = [training_features(job.features, one.network, job.options.precision) for one in job.joined]
    for one, cache in zip(job.joined, caches, strict=True):
        own_views = dict.fromkeys(one.view_of(view, job.options) for view in views_of(job))
        compute(replace(job, network=one.network, joined=()), device, cache, list(own_views))
    memory = FeatureMemory(MEMORY_BYTES)
    joining = job.network.backbone

    def features(view: View) -> list[Tensor]:
        views = (one.view_of(view, job.options).name for one in job.joined)
        return [memory.read(cache, name)[None] for cache, name in zip(caches, views, strict=True)]

    def joined(view: View) -> Tensor:
        found: Tensor = joining(features(view))[0]
        return found

    assert isinstance(joining, Joining)  # noqa: S101 - for mypy; a head on joined features has no other backbone
    joining.fit(map(features, train_views(job)))
    return joined


def head_parts(job: TrainJob, device: Device, read: Source) -> Parts:
    """Set up training the heads on features (t, f) that `read` returns, or fit them if they are a probe.

    The network's backbone is not used.
    """
    train, val = _datasets(job, read, read)
    is_probe = job.options.head is Head.PROBE
    if is_probe and not (job.folder / LAST).exists():
        fit_probes(job, train)
    module = (FittedModule if is_probe else HeadModule)(
        job.network, job.options, train.clips, has_objects=job.classes.has_objects, nothing=job.classes.nothing
    )
    # Reading a feature is faster than passing it between processes, so there are no workers.
    return module, _loader(job, device, train, 0), _loader(job, device, val, 0)


def views_of(job: TrainJob) -> list[View]:
    """List the distinct views of all epochs and validations."""
    images = partial(View.images, spec=job.network.spec)
    _, val = _datasets(job, images, images)
    return train_views(job) + val.views(1)


def train_views(job: TrainJob) -> list[View]:
    """List the distinct views of the training clips in all epochs."""
    # A probe is fitted to the mean of a clip's views.
    num_epochs = job.options.feature_variants if job.options.head is Head.PROBE else job.options.epochs
    return training_clips(job, partial(View.images, spec=job.network.spec)).views(num_epochs)


def fit_probes(job: TrainJob, train: ClipDataset) -> None:
    """Fit the heads of the job's network to the clips of `train`."""
    clips = train.clips
    fit_heads(
        job.network.head,
        probe_features(job, train),
        np.array([clip.verb for clip in clips]),
        np.array([clip.noun for clip in clips]) if job.classes.has_objects else None,
        [clip.source or clip.frames.stem for clip in clips],
        balanced=job.options.class_weights == "balanced",
    )


def compute(job: TrainJob, device: Device, cache: FeatureCache, views: list[View]) -> None:
    """Compute missing features, divided among the processes of a training."""
    rank = process_rank()
    compute_features(
        job.network,
        views,
        cache,
        device=torch.device(device, rank) if device == "cuda" else torch.device(device),
        precision=job.options.precision,
        num_workers=_num_workers(job, device),
        place=rank / job.devices,
    )


def probe_features(job: TrainJob, train: ClipDataset) -> NDArray[np.float64]:
    """Average the features of each clip over its views, segments and patches: (n, f)."""
    num_views = job.options.feature_variants if train.draws_views else 1

    def mean(clip: int) -> Tensor:
        return torch.stack([train[ClipKey(view, clip)].inputs.flatten(0, -2).mean(0) for view in range(num_views)]).double().mean(0)

    found: NDArray[np.float64] = torch.stack([mean(clip) for clip in range(len(train))]).numpy()
    return found


def _datasets(job: TrainJob, train_source: Source, val_source: Source) -> tuple[ClipDataset, ClipDataset]:
    val = ClipDataset(job.val, job.network.spec, val_source, num_crops=job.options.validation_crops)
    return training_clips(job, train_source), val


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
        balanced=options.sampler == "balanced",
        middle_frames=options.train_frames == "middle",
        segment_length=options.segment_length,
        views_seed=options.views_seed,
    )


def _num_workers(job: TrainJob, device: Device) -> int:
    default = 0 if device == "cpu" else min(MAX_WORKERS, max(1, len(os.sched_getaffinity(0)) // job.devices))
    return default if job.num_workers is None else job.num_workers


def _loader(job: TrainJob, device: Device, dataset: ClipDataset, num_workers: int) -> DataLoader[Sample]:
    return make_loader(
        dataset,
        batch_size=job.options.batch_size // job.devices,
        num_workers=num_workers,
        pin_memory=device == "cuda",
        share=Share(process_rank(), job.devices),
    )
