"""Train heads on shares of the training clips, and score them on val."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

from tasks.data.split.subsets import random_orders, subset_sizes
from tasks.errors import NothingToDo
from tasks.learn.gpus import keep_to_one_gpu
from tasks.learn.hardware import keep_freed_memory
from tasks.learn.inputs.data import with_label_noise
from tasks.learn.training.job import TrainJob
from tasks.learn.training.trials import TrialFailure, TrialJob, TrialOutcome, run_trials
from tasks.options import LIGHT, Head, TrainOptions, Weights
from tasks.options.recipe import LONG_EPOCHS
from tasks.pipeline._step import log
from tasks.pipeline._training import fetch_inputs
from tasks.settings import MachineSettings, load
from tasks.store.objects import Store
from tasks.store.records.curves import CurveTraining, CurveTrainings
from tasks.store.records.dataset import Manifest
from tasks.store.records.training import PlanResult
from tasks.wording import count, percent

FROM_LIGHT = {
    "epochs", "batch_size", "accumulate_batches", "trainable", "learning_rate", "layer_decay", "optimizer", "momentum", "weight_decay",
    "schedule", "warmup_epochs", "step_epochs", "plateau_validations", "decay_factor", "label_smoothing", "class_weights", "sampler",
    "mixup", "dropout", "ema_decay", "clip_norm", "precision", "validate_every", "validation_crops", "patience", "feature_variants",
}  # fmt: skip
"""Options by which heads are trained in place of a whole network. Views of the clips stay those of the run, so its cached frames serve."""
MAX_STEPS = 20_000
"""Maximum number of optimizer steps of one training. One of the heads takes 2 ms (docs/performance.md: 100 clips one by one in 0.21 s)."""


def no_curve_reason(plan: PlanResult) -> str:
    """Say why a training has no learning curve; empty if it has."""
    if plan.weights.members and plan.train.join == "logits":
        return "a fusion of trained networks is not trained"
    if plan.weights.members or plan.weights.weights is Weights.TRAINED:
        return "the training starts from a trained network, which may know all of these clips already, so a share of them would not show what the others add"
    return ""


def curve_recipe(train: TrainOptions, num_clips: int) -> TrainOptions:
    """Return the options of a training of the curve on all clips.

    That is the run's own recipe if it trains heads alone, else that of preset `light` on its network. Longer trainings are shortened. None stops
    early, so that all take as many steps; the best epoch is kept anyway.
    """
    recipe = train.as_trained() if train.trainable == "heads" else train.model_copy(update=LIGHT.model_dump(include=FROM_LIGHT))
    most_epochs = max(1, MAX_STEPS // _steps(recipe, num_clips))
    # The clips' labels are altered before shares are drawn.
    return _over(recipe, min(recipe.epochs, LONG_EPOCHS, most_epochs)).model_copy(update={"label_noise": 0.0, "patience": 0})


def asked_epochs(train: TrainOptions) -> int:
    """Return the epochs of the recipe that `curve_recipe` may have shortened."""
    return train.as_trained().epochs if train.trainable == "heads" else LIGHT.epochs


def stretched(recipe: TrainOptions, num_clips: int, num_all_clips: int) -> TrainOptions:
    """Train a share of the clips for as many optimizer steps as all of them, to the nearest epoch.

    With as many epochs, a share would have fewer steps, and the curve would show how long heads were trained. Its epochs cycle through the
    views that a training on all clips sees, so they are cached.
    """
    if recipe.head is Head.PROBE:
        return recipe
    stretch = _steps(recipe, num_all_clips) / _steps(recipe, num_clips)
    views = min(recipe.feature_variants, recipe.epochs)
    return _over(recipe, round(stretch * recipe.epochs)).model_copy(update={"feature_variants": views})


def _steps(recipe: TrainOptions, num_clips: int) -> int:
    """Count the optimizer steps of an epoch."""
    return ceil(ceil(num_clips / recipe.batch_size) / recipe.accumulate_batches)


def _over(recipe: TrainOptions, epochs: int) -> TrainOptions:
    """Spread a recipe over another number of epochs, its schedule and its validations included.

    The rate is constant where too few epochs are left for it to fall.
    """

    def spread(number: int) -> int:
        # Rounded down, so that the parts still fit into the whole.
        return number * epochs // recipe.epochs

    warmup_epochs = spread(recipe.warmup_epochs)
    step_epochs = max(1, spread(recipe.step_epochs))
    validate_every = max(1, spread(recipe.validate_every))
    num_validations = epochs // validate_every
    plateau_validations = max(1, recipe.plateau_validations * num_validations // (recipe.epochs // recipe.validate_every))
    never_falls = {"step": epochs - warmup_epochs <= step_epochs, "plateau": num_validations <= plateau_validations}
    return recipe.model_copy(
        update={
            "epochs": epochs,
            "warmup_epochs": warmup_epochs,
            "step_epochs": step_epochs,
            "validate_every": validate_every,
            "plateau_validations": plateau_validations,
            "schedule": "constant" if never_falls.get(recipe.schedule, False) else recipe.schedule,
        }
    )


NUM_DRAWS = 5
LEAST_URGENT = 19
"""Niceness: a training or a prediction on the same cores goes first."""


def train_curve(plan: PlanResult, manifest: Manifest, store: Store) -> CurveTrainings:
    """Train each share of the clips, drawn in several ways, and score it with the crops of a validation.

    A test's ten crops would cost more than all trainings together.

    Raises:
        NothingToDo: heads do not train on some share, for example because their loss is not finite.
        BadCheckpoint, BadDataset, MissingObject, Unavailable: as the step `train`.
    """
    os.nice(LEAST_URGENT)
    keep_to_one_gpu()
    keep_freed_memory()
    with tempfile.TemporaryDirectory(prefix="retake-curve-") as folder:
        job, clips = fetch_inputs(plan, manifest, store, Path(folder), devices=1)
        sources = [clip.source for clip in clips]
        # Once for all shares: drawn on a share, other labels would be altered.
        job = replace(job, train=with_label_noise(job.train, plan.train.label_noise, plan.train.seed))
        recipe = curve_recipe(plan.train, len(clips))
        draws = random_orders(sources, NUM_DRAWS, plan.train.seed)
        shares = [(size, draw) for size in subset_sizes(len(clips)) for draw in range(NUM_DRAWS)]
        jobs = [TrialJob(_part(job, recipe, draws[draw][:size]), plan.train.validation_crops) for size, draw in shares]
        done: dict[int, CurveTraining] = {}

        def keep(index: int, outcome: TrialOutcome | TrialFailure) -> None:
            size, draw = shares[index]
            if isinstance(outcome, TrialFailure):
                raise NothingToDo(f"heads do not train on {count(size, 'training clip')}: {outcome.reason}")
            done[index] = CurveTraining(
                num_clips=size,
                num_sources=len({sources[clip] for clip in draws[draw][:size]}),
                draw=draw,
                num_epochs=len(outcome.history),
                best_epoch=outcome.best_epoch,
                seconds=round(sum(record.seconds for record in outcome.history), 3),
                right=outcome.right,
            )
            _report(done[index], num_done=len(done), num_all=len(jobs))

        run_trials(jobs, num_processes=load(MachineSettings).num_processes, on_done=keep)
    return CurveTrainings(
        recipe="own" if plan.train.trainable == "heads" else "light",
        num_clips=len(clips),
        num_sources=len(set(sources)),
        num_asked_epochs=asked_epochs(plan.train),
        num_epochs=recipe.epochs,
        trainings=tuple(done[index] for index in range(len(jobs))),
    )


def _part(job: TrainJob, recipe: TrainOptions, chosen: Sequence[int]) -> TrainJob:
    """Describe the training on some of the clips.

    Their order also decides that of the batches, so trainings on all clips differ from draw to draw. Altered labels are those of the run.
    """
    return replace(job, train=[job.train[clip] for clip in chosen], options=stretched(recipe, len(chosen), len(job.train)))


def _report(done: CurveTraining, *, num_done: int, num_all: int) -> None:
    target, right = list(done.right.items())[-1]
    log.info(
        "training %d of %d: %s of %s, draw %d: %s top-1 %s",
        num_done, num_all, count(done.num_clips, "clip"), count(done.num_sources, "source video"), done.draw + 1,
        target, percent(right.count("1") / len(right)),
    )  # fmt: skip
