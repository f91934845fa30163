"""Score the heads of earlier epochs on the features that a training has cached."""

# n: clips, v: verbs, o: nouns

import copy
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tasks.errors import BadCheckpoint
from tasks.learn.hardware import choose_device
from tasks.learn.inputs.data import ClipDataset, Source
from tasks.learn.networks.weights_file import read_weights
from tasks.learn.training.job import TrainJob, joined_features, open_cache


def score_heads(job: TrainJob, files: Mapping[int, Path]) -> Iterator[tuple[int, NDArray[np.float32], NDArray[np.float32]]]:
    """Compute the logits (n, v) and (n, o) of each epoch's heads on the clips of val, averaged over crops.

    Args:
        job: a finished training on cached features; n are its clips of val, in order.
        files: the file of the heads by epoch, as in `EpochFiles.heads`.

    Raises:
        BadCheckpoint: a file is not one of these heads.
        Unavailable: a cached feature is gone.
    """
    read = joined_features(job, choose_device(job.device)) if job.joined else _cached_features(job)
    clips = ClipDataset(job.val, job.network.spec, read, num_crops=job.options.validation_crops)
    head = copy.deepcopy(job.network.head).cpu().eval()
    for epoch, path in files.items():
        try:
            head.load_state_dict(read_weights(path))
        except (BadCheckpoint, RuntimeError) as error:
            raise BadCheckpoint(f"{path.name}: not the heads of this training ({error}); train again") from None
        answers = []
        with torch.inference_mode():
            for key in clips.keys(0):
                inputs = clips[key].inputs
                logits = head(inputs if clips.num_crops > 1 else inputs[None])
                answers.append((logits.verb.mean(0).numpy(), logits.noun.mean(0).numpy()))
        verbs, nouns = zip(*answers, strict=True)
        yield epoch, np.stack(verbs), np.stack(nouns)


def _cached_features(job: TrainJob) -> Source:
    cache = open_cache(job, job.network)
    return lambda view: cache.read(view.name)
