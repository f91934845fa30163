"""Features of a frozen backbone, computed once a dataset and kept on the disk: a training of the heads reads nothing else.

A feature follows from the backbone's weights and input format, the clip's frames and what decoded them, the view and how views are drawn, and
is filed under all of these. Learning rate, epochs, batch size and everything else about the heads have no part in it, so trainings that
differ there share what is kept.
"""

# b: batch, t: segments, f: features, c: channels, p: 8-bit planes, h, w: pixels

import logging
from collections.abc import Sequence
from pathlib import Path
from time import monotonic

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from tasks.model.crops import Normalise
from tasks.model.data import View
from tasks.model.kept import KeptFeatures
from tasks.model.network import Network, to_channels_last
from tasks.model.spec import NetworkSpec

log = logging.getLogger(__name__)

VIEWS_VERSION = 1
"""Of what a `View` shows: one more whenever its frames or its augmentation become others, in `data`, `sampling`, `crops` or `augmentation`."""

SECONDS_BETWEEN_LINES = 10
PRECISIONS = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}
"""What the backbone computes in, by the name that `TrainOptions.precision` has for it; float32 where it has none here."""


def training_features(root: Path, network: Network, precision: str) -> KeptFeatures:
    """Give the features (t, f) of views under `root`, with `precision` as in `TrainOptions`."""
    return KeptFeatures(root, network, (network.spec.num_segments,), {"precision": precision, "views": VIEWS_VERSION})


def compute_features(
    network: Network, views: Sequence[View], kept: KeptFeatures, *, device: torch.device, precision: str, num_workers: int, place: float = 0
) -> None:
    """Compute what is not kept yet. The backbone is moved to `device` for that, and back to the CPU.

    Every clip goes through the backbone alone, so that its features do not depend on which others are missing.

    Args:
        network: the one that `kept` was made for.
        views: whose features must be there afterwards.
        kept: where they are kept.
        device: where the backbone runs.
        precision: as in `TrainOptions`.
        num_workers: processes that read and augment frames; 0 does it here.
        place: from 0 to 1, where to begin. Processes that begin at different places share the work, for each skips what is there by then.

    Raises:
        BadConfiguration: the disk is too small.
        BadDataset, MissingObject: frames that cannot be read.
        Unavailable: the disk is full.
    """
    missing = [view for view in views if not kept.has(view.name)]
    if not missing:
        return
    kept.make_room(len(missing))
    first = int(place * len(missing))
    missing = missing[first:] + missing[:first]
    backbone = to_channels_last(network).backbone.eval().to(device)
    normalise = Normalise(network.input_format).to(device)
    loader = DataLoader(_Images(missing, network.spec, kept), batch_size=None, num_workers=num_workers)
    progress = _Progress(len(views), len(views) - len(missing))
    dtype = PRECISIONS.get(precision)
    with torch.inference_mode(), torch.autocast(device.type, dtype=dtype, enabled=dtype is not None):
        for index, images in enumerate(loader):
            if images.numel() and not kept.has(missing[index].name):
                snippets = normalise(images.to(device)).contiguous(memory_format=torch.channels_last)
                kept.write(missing[index].name, backbone(snippets).flatten(1).float().cpu())
            progress.tell(index + 1)
    backbone.cpu()


class _Images(Dataset[Tensor]):
    """The images uint8 (t, p, h, w) of views, or none where another process was quicker."""

    def __init__(self, views: Sequence[View], spec: NetworkSpec, kept: KeptFeatures) -> None:
        self.views = views
        self.spec = spec
        self.kept = kept

    def __len__(self) -> int:
        return len(self.views)

    def __getitem__(self, index: int) -> Tensor:
        view = self.views[index]
        return torch.empty(0) if self.kept.has(view.name) else view.images(self.spec)


class _Progress:
    """Says every ten seconds, and at the end, how far the features are."""

    def __init__(self, num_views: int, num_there: int) -> None:
        self.num_views = num_views
        self.num_there = num_there
        self.started_at_seconds = self.told_at_seconds = monotonic()

    def tell(self, num_computed: int) -> None:
        """Maybe say so."""
        now, num_done = monotonic(), self.num_there + num_computed
        gone = now - self.started_at_seconds
        if num_done == self.num_views:
            log.info("features of %d views, %d of them kept from before, %.0f s", self.num_views, self.num_there, gone)
        elif now - self.told_at_seconds >= SECONDS_BETWEEN_LINES:
            left = gone / num_computed * (self.num_views - num_done)
            log.info("features of %d of %d views, %.0f s left", num_done, self.num_views, left)
            self.told_at_seconds = now
