"""Estimate a training's time by a timed batch, or without torch by the champion's training."""

import importlib.util
import tempfile
from pathlib import Path

from tasks.errors import BadInput
from tasks.options import Head, TrainOptions
from tasks.results.dataset import Manifest
from tasks.results.training import PlanResult, WeightsResult
from tasks.settings import MachineSettings, load
from tasks.steps._step import log
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.runs import Run
from tasks.wording import duration

ALIKE = ("family", "head", "modality", "backbone", "num_segments", "trainable", "precision")
"""Options that two trainings must share for one to predict the other's time."""
VALIDATION_SHARE = 1 / 3
"""Cost of a validation clip relative to a training clip. One forward pass against forward and backward."""
WORTH_TIMING = 100
"""Minimum training clips in all epochs together; fewer take seconds, as timing a batch does."""


def log_expected_time(planned: TrainOptions, weights: WeightsResult, manifest: Manifest, earlier: PlanResult | None, store: Store) -> None:
    """Log the work of `train` and its estimated time; `earlier` is the champion's training."""
    num_train, num_val = _num_clips(manifest)
    said = f"to train: at most {planned.epochs} epochs of {num_train} clips"
    if planned.head is Head.PROBE:
        log.info("to fit: heads by logistic regression on %d clips, once the backbone has seen each clip", num_train)
    elif planned.trainable == "heads":
        log.info("%s, of the heads alone, once the backbone has seen each clip", said)
    elif planned.epochs * num_train < WORTH_TIMING:
        log.info("%s", said)
    elif expected := _by_a_batch(planned, weights, num_train, num_val, store) or _by_a_training(planned, manifest, earlier, store):
        log.info("%s, %s", said, expected)
    else:
        log.info("%s; `train` says how long it takes after its first batches", said)


def _by_a_batch(planned: TrainOptions, weights: WeightsResult, num_train: int, num_val: int, store: Store) -> str | None:
    """Estimate the time by a batch on this machine; None if none can be timed."""
    # The image that `plan` runs in has no torch; the environment of `make run` has, and there `train` runs on the same machine.
    if importlib.util.find_spec("torch") is None:
        return None
    from tasks.model.gpus import keep_to_one_gpu
    from tasks.model.timing import time_batch
    from tasks.steps._checkpoints import fetch_network

    keep_to_one_gpu()
    with tempfile.TemporaryDirectory(prefix="retake-plan-") as name:
        network = fetch_network(store, weights.uri, weights.sha256, Path(name)).network
    timed = time_batch(network, planned, num_train, load(MachineSettings).device)
    if timed is None:
        return None
    expected = duration(timed.training_seconds(planned, num_train, num_val))
    return f"about {expected}: a batch of {timed.num_clips} took {duration(timed.seconds)} on {timed.device}"


def _by_a_training(planned: TrainOptions, manifest: Manifest, earlier: PlanResult | None, store: Store) -> str | None:
    """Estimate the time by an earlier training; None if it differs or left no record."""
    if earlier is None or any(getattr(planned, name) != getattr(earlier.train, name) for name in ALIKE):
        return None
    try:
        result = store.read(Run(earlier.run_uri).train)
        known = store.read(Dataset(earlier.dataset_uri).manifest)
    except BadInput:
        return None
    its_work = _work(earlier.train, known, result.num_epochs)
    if not its_work:
        return None
    expected = duration(result.seconds * _work(planned, manifest, planned.epochs) / its_work)
    machine = result.hardware.get("device_name", "its machine")
    return f"about {expected}: the champion's training took {duration(result.seconds)} for {result.num_epochs} epochs on {machine}"


def _num_clips(manifest: Manifest) -> tuple[int, int]:
    """Count training and validation clips."""
    splits = [clip.split for clip in manifest.clips]
    return splits.count("train"), splits.count("val")


def _work(train: TrainOptions, manifest: Manifest, num_epochs: int) -> float:
    """Count the clips of all epochs, validation clips by their relative cost."""
    num_train, num_val = _num_clips(manifest)
    return num_epochs * num_train + VALIDATION_SHARE * (num_epochs // train.validate_every) * num_val * train.validation_crops
