"""What a training is expected to take, from the champion's. Needs no torch, so it times nothing itself."""

from tasks.errors import BadInput
from tasks.evaluation.report.formats import seconds
from tasks.options import TrainOptions
from tasks.results.dataset import Manifest
from tasks.results.training import PlanResult, TrainResult
from tasks.steps._step import log, result_uri
from tasks.storage import Store

ALIKE = ("family", "modality", "backbone", "num_segments", "trainable", "precision")
"""Options that trainings must share for the time of one to tell that of the other."""
VALIDATION_SHARE = 1 / 3
"""A clip that is only looked at, in one crop, to one that is learned from: a pass forward to one forward and back."""


def log_expected_time(planned: TrainOptions, manifest: Manifest, earlier: PlanResult | None, store: Store) -> None:
    """Say how much `train` has before it, and how long that takes where an `earlier` training was alike."""
    num_clips = sum(clip.split == "train" for clip in manifest.clips)
    said = f"to train: at most {planned.epochs} epochs of {num_clips} clips"
    if planned.trainable == "heads":
        log.info("%s, of the heads alone, once the backbone has seen each clip", said)
    elif earlier and (timed := _timed(planned, manifest, earlier, store)):
        log.info("%s, %s", said, timed)
    else:
        log.info("%s; none like it was timed before: see `train`, which says how long it takes after its first batches", said)


def _timed(planned: TrainOptions, manifest: Manifest, earlier: PlanResult, store: Store) -> str | None:
    """The time at the pace of an earlier training; None where that was another kind, or left no record."""
    if any(getattr(planned, name) != getattr(earlier.train, name) for name in ALIKE):
        return None
    try:
        result = store.read(result_uri(f"{earlier.run_uri}train/"), TrainResult)
        known = store.read(f"{earlier.dataset_uri}manifest.json", Manifest)
    except BadInput:
        return None
    its_work = _work(earlier.train, known, len(result.epochs))
    if not its_work:
        return None
    expected = result.seconds * _work(planned, manifest, planned.epochs) / its_work
    machine = result.hardware.get("device_name", "its machine")
    return f"about {seconds(expected)} at the pace of the champion's training, which took {seconds(result.seconds)} on {machine}"


def _work(train: TrainOptions, manifest: Manifest, num_epochs: int) -> float:
    """How many clips are learned from, those that are only looked at as their share."""
    num_train, num_val = (sum(clip.split == split for clip in manifest.clips) for split in ("train", "val"))
    return num_epochs * num_train + VALIDATION_SHARE * (num_epochs // train.validate_every) * num_val * train.validation_crops
