"""Train heads on shares of the training clips, and score them on val."""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from tasks.data.split.subsets import random_orders, subset_sizes
from tasks.errors import NothingToDo
from tasks.learn.gpus import keep_to_one_gpu
from tasks.learn.hardware import keep_freed_memory
from tasks.learn.inputs.data import with_label_noise
from tasks.learn.training.job import TrainJob
from tasks.learn.training.trials import TrialFailure, TrialJob, TrialOutcome, run_trials
from tasks.options import TrainOptions
from tasks.pipeline._step import log
from tasks.pipeline._training import fetch_inputs
from tasks.pipeline.learning_curve._curve_recipe import asked_epochs, curve_recipe, stretched
from tasks.settings import MachineSettings, load
from tasks.store.objects import Store
from tasks.store.records.dataset import Manifest
from tasks.store.records.learning_curve import CurveTraining, CurveTrainings
from tasks.store.records.training import PlanResult
from tasks.wording import count, percent

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
