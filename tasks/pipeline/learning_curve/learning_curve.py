"""Answer whether more labels would help: train on shares of the clips, and extrapolate."""

import os
import tempfile
from collections import Counter
from dataclasses import replace
from math import ceil
from operator import attrgetter
from pathlib import Path

import numpy as np

from tasks.data.split.folds import random_orders, subset_sizes
from tasks.errors import NothingToDo
from tasks.judge.gate.error_budget import record_look
from tasks.judge.report.curves import curve_answer
from tasks.judge.statistics.learning_curve import learning_curve, num_new_classes
from tasks.learn.gpus import keep_to_one_gpu
from tasks.learn.hardware import keep_freed_memory
from tasks.learn.inputs.data import with_label_noise
from tasks.learn.training.trials import TrialFailure, TrialJob, run_trials
from tasks.loop.summary import keep
from tasks.loop.summary_parts import Gain, with_gain
from tasks.options import LIGHT, TrainOptions
from tasks.options.training import LONG_EPOCHS
from tasks.pipeline._plans import no_curve_reason
from tasks.pipeline._results import LEAST_URGENT, earlier_result, finish, log, publish_files, with_limits
from tasks.pipeline._training import fetch_inputs
from tasks.pipeline.learning_curve.contract import LEARNING_CURVE, DecidedArguments
from tasks.settings import MlflowSettings, load
from tasks.store.derived import decision_of_plan
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.records.curves import CurveTraining, CurveTrainings, LearningCurveResult, NoLearningCurve, TargetCurve
from tasks.store.records.dataset import DatasetClip, Manifest
from tasks.store.records.record import Target
from tasks.store.records.training import PlanResult
from tasks.store.run_layout import Run
from tasks.tracking import Tracker, tracked_run
from tasks.wording import count, csv_table, percent

COLUMNS = ("num_clips", "num_sources", "draw", "num_epochs", "best_epoch", "seconds")
NUM_DRAWS = 5

FROM_LIGHT = {
    "epochs", "batch_size", "accumulate_batches", "trainable", "learning_rate", "optimizer", "weight_decay", "schedule", "warmup_epochs",
    "label_smoothing", "class_weights", "dropout", "precision", "validate_every", "validation_crops", "patience", "feature_variants",
}  # fmt: skip
"""Options by which heads are trained in place of a whole network. Views of the clips stay those of the run, so its cached frames serve."""
MAX_STEPS = 20_000
"""Maximum number of optimizer steps of one training. One of the heads takes 2 ms (docs/performance.md: 100 clips one by one in 0.21 s)."""


def run(arguments: DecidedArguments, store: Store) -> LearningCurveResult:
    """Write the learning curve to the store, and its gains to MLflow.

    The trainings are shared by all decisions on the same training. Where there is nothing to do, the reason is kept for the report. The curve
    is recorded as a look at val that does not count: it selects nothing, as networks on a part of the clips are never promoted.

    Raises:
        NothingToDo: the run trains nothing or goes on from a trained network, or heads do not train on a share of the clips.
        BadCheckpoint, BadDataset, MissingObject, Unavailable: as the step `train`.
    """
    try:
        result = _draw(arguments, store)
    except NothingToDo as nothing:
        store.write(decision_of_plan(arguments.plan).no_learning_curve, NoLearningCurve(reason=str(nothing)))
        raise NothingToDo(f"no learning curve: {nothing}") from None
    plan = store.read(arguments.planned)
    keep(
        store,
        Layout(arguments.store).status.of_model(plan.model_name).model,
        lambda earlier: with_gain(earlier, plan.run_key, Gain.of(result)),
    )
    return result


def _draw(arguments: DecidedArguments, store: Store) -> LearningCurveResult:
    place = LEARNING_CURVE.address(arguments)
    if earlier := earlier_result(store, place):
        return earlier
    plan = store.read(arguments.planned)
    if reason := no_curve_reason(plan):
        raise NothingToDo(reason)
    manifest = store.read(Dataset(plan.dataset_uri).manifest)
    kept = Run(plan.run_uri).learning_curve
    trained = store.read(kept) if store.exists(kept.uri) else None
    if trained is None or (trained.equal, trained.scored_epoch) != ("epochs", "last"):
        trained = train_curve(plan, manifest, store)
        store.write(kept, trained)
    tracker = Tracker(load(MlflowSettings))
    train, val = ([clip for clip in manifest.clips if clip.split == split and clip.has_action] for split in ("train", "val"))
    curves = tuple(
        _curve(trained, train, val, target, num_resamples=plan.evaluate.bootstrap_resamples) for target in manifest.vocabulary.targets
    )
    with tracked_run(tracker, plan, is_beside=True) as run_id:
        publish_files(store, place, {place.file("trainings.csv"): _table(trained)}, tracker, run_id, "learning_curve")
        tracker.log_metrics(run_id, with_limits(_gains(curves)))
        result = LearningCurveResult(
            recipe=trained.recipe,
            num_clips=trained.num_clips,
            num_sources=trained.num_sources,
            num_val_clips=len(val),
            num_val_sources=len({clip.source for clip in val}),
            num_draws=len({training.draw for training in trained.trainings}),
            num_asked_epochs=trained.num_asked_epochs,
            num_epochs=trained.num_epochs,
            equal=trained.equal,
            curves=curves,
            seconds=round(sum(training.seconds for training in trained.trainings), 3),
            trainings_uri=kept.uri,
            mlflow_run_url=tracker.run_url(run_id),
        )
    record_look(
        store,
        arguments.store,
        "curve",
        [clip.uid for clip in val],
        (),
        made_by=plan.run_uri,
        model_name=plan.model_name,
        split="val",
        num_networks=len(trained.trainings),
    )
    log.info("%s", curve_answer(result))
    return finish(store, place, result)


def _gains(curves: tuple[TargetCurve, ...]) -> dict[str, tuple[float, tuple[float, float]]]:
    """Name the gains of all curves as metrics, with their intervals."""
    return {
        f"gain/val/{curve.target}_top1_with_{gain.times}_times_the_clips": (gain.gain, gain.interval)
        for curve in curves
        for gain in curve.gains
    }


def _curve(trained: CurveTrainings, train: list[DatasetClip], val: list[DatasetClip], target: Target, *, num_resamples: int) -> TargetCurve:
    by_size: dict[int, list[CurveTraining]] = {}
    for training in trained.trainings:
        by_size.setdefault(training.num_clips, []).append(training)
    sizes = sorted(by_size)
    # Draws are nested, so they stand in the same order at each size.
    digits = [[training.right[target] for training in sorted(by_size[size], key=attrgetter("draw"))] for size in sizes]
    right = np.array([[[digit == "1" for digit in of_draw] for of_draw in of_size] for of_size in digits])
    ids = {"verb": attrgetter("verb_class"), "noun": attrgetter("noun_class"), "action": attrgetter("verb_class", "noun_class")}
    class_of = ids[target]
    most_frequent = Counter(map(class_of, val)).most_common(1)[0][1]
    return learning_curve(
        right,
        sizes,
        [clip.source for clip in val],
        target=target,
        majority_top1=most_frequent / len(val),
        new_classes=num_new_classes(list(Counter(map(class_of, train)).values())),
        num_resamples=num_resamples,
    )


def _table(trained: CurveTrainings) -> bytes:
    targets = list(trained.trainings[0].right)
    rows = (
        training.model_dump(include=set(COLUMNS))
        | {f"{target}_top1": training.right[target].count("1") / len(training.right[target]) for target in targets}
        for training in trained.trainings
    )
    return csv_table([*COLUMNS, *(f"{target}_top1" for target in targets)], rows)


def train_curve(plan: PlanResult, manifest: Manifest, store: Store) -> CurveTrainings:
    """Train heads on several draws of each share of the clips; score their last epoch.

    The crops are those of a validation: a test's ten crops would cost more than all trainings together.

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
        # The order of the clips also decides that of the batches, so trainings on all clips differ from draw to draw.
        parts = (replace(job, train=[job.train[clip] for clip in draws[draw][:size]], options=recipe) for size, draw in shares)
        jobs = [TrialJob(part, plan.train.validation_crops) for part in parts]
        done: list[CurveTraining] = []
        for (size, draw), outcome in zip(shares, run_trials(jobs), strict=True):
            if isinstance(outcome, TrialFailure):
                raise NothingToDo(f"heads do not train on {count(size, 'training clip')}: {outcome.reason}")
            done.append(
                CurveTraining(
                    num_clips=size,
                    num_sources=len({sources[clip] for clip in draws[draw][:size]}),
                    draw=draw,
                    num_epochs=len(outcome.history),
                    best_epoch=outcome.best_epoch,
                    seconds=round(sum(record.seconds for record in outcome.history), 3),
                    right=outcome.right,
                )
            )
            _report(done[-1], num_done=len(done), num_all=len(jobs))
    return CurveTrainings(
        recipe="own" if plan.train.trainable == "heads" else "light",
        num_clips=len(clips),
        num_sources=len(set(sources)),
        num_asked_epochs=asked_epochs(plan.train),
        num_epochs=recipe.epochs,
        equal="epochs",
        scored_epoch="last",
        trainings=tuple(done),
    )


def _report(done: CurveTraining, *, num_done: int, num_all: int) -> None:
    target, right = list(done.right.items())[-1]
    log.info(
        "training %d of %d: %s of %s, draw %d: %s top-1 %s",
        num_done, num_all, count(done.num_clips, "clip"), count(done.num_sources, "source video"), done.draw + 1,
        target, percent(right.count("1") / len(right)),
    )  # fmt: skip


def curve_recipe(train: TrainOptions, num_clips: int) -> TrainOptions:
    """Return the run's own recipe if it trains heads alone, else that of preset `light`.

    The recipe of `light` is used on the run's network. Longer trainings are shortened. None stops early, so that all take as many epochs.
    """
    # `picked` leaves out removed options, with which a whole network may have been trained.
    on_heads = train.trainable == "heads"
    recipe = train.as_trained() if on_heads else train.picked(TrainOptions).model_copy(update=LIGHT.model_dump(include=FROM_LIGHT))
    most_epochs = max(1, MAX_STEPS // ceil(ceil(num_clips / recipe.batch_size) / recipe.accumulate_batches))  # the steps of an epoch
    # The clips' labels are altered before shares are drawn.
    return _over(recipe, min(recipe.epochs, LONG_EPOCHS, most_epochs)).model_copy(update={"label_noise": 0.0, "patience": 0})


def asked_epochs(train: TrainOptions) -> int:
    """Return the epochs of the recipe that `curve_recipe` may have shortened."""
    return train.as_trained().epochs if train.trainable == "heads" else LIGHT.epochs


def _over(recipe: TrainOptions, epochs: int) -> TrainOptions:
    """Spread a recipe over another number of epochs, its warm-up and its validations included."""

    def spread(number: int) -> int:
        # Rounded down, so that the parts still fit into the whole.
        return number * epochs // recipe.epochs

    spread_over = {"warmup_epochs": spread(recipe.warmup_epochs), "validate_every": max(1, spread(recipe.validate_every))}
    return recipe.model_copy(update={"epochs": epochs, **spread_over})
