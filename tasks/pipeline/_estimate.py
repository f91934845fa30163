"""Estimate how long a training and its test take.

The training's time comes from a timed batch, or from the champion's training.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.data.split.manifest import num_clips
from tasks.errors import BadInput
from tasks.learn.gpus import trains_on_gpu
from tasks.options import EvaluateOptions, Head, TrainOptions
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.records.dataset import Manifest
from tasks.store.records.record import SplitName
from tasks.store.records.training import BatchTime, PlanResult, WeightsResult
from tasks.store.run_layout import Run
from tasks.wording import count, duration

ALIKE = ("family", "head", "modality", "backbone", "num_segments", "trainable", "precision")
"""Options that two trainings must share for one to predict the other's time."""
HOURS_WITH_GPU, HOURS_WITHOUT_GPU = 12.0, 2.0
"""A training that is expected to take longer does not start unasked."""
VALIDATION_SHARE = 1 / 3
"""Cost of a validation clip relative to a training clip. One forward pass against forward and backward."""


@dataclass(frozen=True)
class Estimate:
    """The work of a training in words, and its time, None if nothing tells it."""

    line: str
    seconds: float | None


def estimate(
    planned: TrainOptions, weights: WeightsResult, manifest: Manifest, earlier: PlanResult | None, store: Store, num_seeds: int = 1
) -> Estimate:
    """Estimate the time of `train` by a timed batch, or by the `earlier` plan's training."""
    clips_of = num_clips(manifest)
    num_train, num_val = clips_of["train"], clips_of["val"]
    of_seeds = f" with {num_seeds} seeds, for each" if num_seeds > 1 else ""
    work = f"to train{of_seeds}: at most {count(planned.epochs, 'epoch')} of {count(num_train, 'clip')}"
    if planned.head is Head.PROBE:
        work = f"to fit{of_seeds}: heads by logistic regression on {count(num_train, 'clip')}, once the backbone has seen each clip"
    elif planned.trainable == "heads":
        work += ", of the heads alone, once the backbone has seen each clip"
    if pace := weights.pace:
        seconds = _seconds(pace, planned, num_train, num_val, num_seeds)
        return Estimate(
            f"{work}, about {duration(seconds)}: a batch of {pace.num_clips} took {duration(pace.seconds)} on {pace.device}", seconds
        )
    if by_training := _by_a_training(planned, manifest, earlier, store):
        seconds, why = by_training[0] * num_seeds, by_training[1]
        return Estimate(f"{work}, about {duration(seconds)}: {why}", seconds)
    return Estimate(f"{work}; `train` says how long it takes after its first batches", None)


def seconds_to_test(
    planned: TrainOptions, evaluate: EvaluateOptions, splits: Sequence[SplitName], weights: WeightsResult, manifest: Manifest
) -> float | None:
    """Estimate the time of the forward passes of `evaluate`, at the pace of PyTorch.

    None if no batch was timed. `splits` has the split of each evaluation. Networks on one frozen backbone see each clip once.
    """
    if not weights.pace:
        return None
    clips_of = num_clips(manifest)
    num_scored = sum(clips_of[split] for split in (set(splits) if planned.trainable == "heads" else splits))
    return num_scored * evaluate.crops * weights.pace.forward_seconds / weights.pace.num_clips


def question(expected: Estimate, max_hours: float | None) -> str:
    """Word the question whether to start a training of more than `max_hours`; empty if none."""
    limit = max_hours or (HOURS_WITH_GPU if trains_on_gpu() else HOURS_WITHOUT_GPU)
    if expected.seconds is None or expected.seconds <= 3600 * limit:
        return ""
    return f"{expected.line}. That is more than {limit:g} h."


def _seconds(pace: BatchTime, planned: TrainOptions, num_train: int, num_val: int, num_seeds: int) -> float:
    """Compute the time of all epochs and validations.

    A frozen backbone sees each view once, and a probe's views are those of its seed.
    """
    views = num_val * planned.validation_crops
    if planned.trainable == "heads":
        num_epochs = 0 if planned.head is Head.PROBE else planned.epochs
        seen = num_train * min(planned.feature_variants, num_epochs or planned.feature_variants) + views
        num_steps = num_seeds * num_epochs * num_train / planned.batch_size
        seen *= num_seeds if planned.head is Head.PROBE else 1
        # A step of heads costs much the same for one clip as for a batch.
        return seen * pace.forward_seconds / pace.num_clips + num_steps * max(pace.seconds - pace.forward_seconds, 0)
    validations = planned.epochs // planned.validate_every * views * pace.forward_seconds
    return num_seeds * (planned.epochs * num_train * pace.seconds + validations) / pace.num_clips


def _by_a_training(planned: TrainOptions, manifest: Manifest, earlier: PlanResult | None, store: Store) -> tuple[float, str] | None:
    """Estimate the seconds by an earlier training, and say which; None if it differs.

    Trainings of heads tell nothing: their epochs begin when the backbone has seen all clips.
    """
    if earlier is None or planned.trainable == "heads" or any(getattr(planned, name) != getattr(earlier.train, name) for name in ALIKE):
        return None
    try:
        result = store.read(Run(earlier.run_uri).train)
        known = store.read(Dataset(earlier.dataset_uri).manifest)
    except BadInput:
        return None
    its_work = _work(earlier.train, known, result.num_epochs)
    if not its_work:
        return None
    machine = result.hardware.get("device_name", "its machine")
    why = f"the champion's training took {duration(result.seconds)} for {count(result.num_epochs, 'epoch')} on {machine}"
    return result.seconds * _work(planned, manifest, planned.epochs) / its_work, why


def _work(train: TrainOptions, manifest: Manifest, num_epochs: int) -> float:
    """Count the clips of all epochs, validation clips by their relative cost."""
    clips_of = num_clips(manifest)
    num_train, num_val = clips_of["train"], clips_of["val"]
    return num_epochs * num_train + VALIDATION_SHARE * (num_epochs // train.validate_every) * num_val * train.validation_crops
