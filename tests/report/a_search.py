"""A made-up search: trials by a plausible rule, and the numbers of its report."""

import numpy as np

from tasks.options import SearchOptions, TrainOptions
from tasks.results.record import TARGETS
from tasks.results.search import Importance, ScoredTrial, Search, SearchPlanResult, SelectionBias, Top1
from tasks.results.training import Epoch
from tests.records import some

NUM_CLIPS, NUM_SOURCES = 96, 21
OF_FORM = {
    name: getattr(TrainOptions(), name)
    for name in ("learning_rate", "schedule", "batch_size", "weight_decay", "dropout", "label_smoothing", "class_weights")
}
BY_IMPORTANCE = ("learning_rate", "class_weights", "weight_decay", "batch_size", "dropout", "label_smoothing", "schedule")


def values_of(rng):
    return {
        "learning_rate": float(10 ** rng.uniform(-5, -1)),
        "schedule": ("constant", "cosine")[rng.integers(2)],
        "batch_size": (2, 4, 8, 16)[rng.integers(4)],
        "weight_decay": float(10 ** rng.uniform(-6, -1)),
        "dropout": float(rng.uniform(0, 0.8)),
        "label_smoothing": float(rng.uniform(0, 0.2)),
        "class_weights": ("none", "balanced")[rng.integers(2)],
    }


def scored(number, round_number, values, rng, *, targets, folds, latency):
    """A trial that scores best at a learning rate of 1e-3."""
    expected = 0.42 - 0.1 * abs(np.log10(values["learning_rate"]) + 3) + 0.03 * (values["class_weights"] == "balanced")
    action = float(np.clip(round((expected + 0.04 * rng.standard_normal()) * NUM_CLIPS) / NUM_CLIPS, 0, 1))
    top1 = {"action": action, "verb": min(1, action + 0.2), "noun": min(1, action + 0.1)}
    return ScoredTrial(
        number=number,
        round=round_number,
        values=values,
        options=TrainOptions().model_copy(update=values | {"epochs": 12}),
        run_keys=tuple(f"{number:04x}{fold:02d}" for fold in range(max(1, folds))),
        was_found=number % 11 == 10,
        num_epochs=12,
        seconds=float(rng.uniform(200, 900)),
        loss=4.5 - 3 * action,
        scores={t: Top1(top1=top1[t], interval=(max(0, top1[t] - 0.11), min(1, top1[t] + 0.12))) for t in targets},
        fold_top1=tuple(float(np.clip(action + x, 0, 1)) for x in np.linspace(-0.06, 0.06, folds)) if folds else (),
        latency_seconds=float(0.2 + 0.05 * values["batch_size"] + 0.1 * rng.random()) if latency else None,
    )


def curve(trial, *, has_accuracy):
    last, epochs = trial.scores[list(trial.scores)[-1]].top1, []
    for epoch in range(trial.num_epochs):
        share = float(1 - np.exp(-(epoch + 1) / 4))
        top1 = {"verb": min(1, last * share + 0.2), "noun": min(1, last * share + 0.1), "action": last * share}
        accuracies = {f"val_{target}_top1": value if has_accuracy else None for target, value in top1.items()}
        epochs.append(Epoch(epoch=epoch, learning_rate=1e-3, train_loss=5 - 3 * share, val_loss=5.5 - 2 * share - last, **accuracies))
    return tuple(epochs)


def search_of(
    num_trials=24,
    *,
    num_failed=2,
    rounds=3,
    folds=0,
    latency=False,
    targets=TARGETS,
    failure="out of memory: lower the batch size",
    has_accuracy=True,
    backbone=None,
    one_source=False,
    note=None,
):
    rng = np.random.default_rng(0)
    trials = []
    for number in range(num_trials):
        values = values_of(rng) if number else OF_FORM.copy()
        if backbone:
            values["backbone"] = backbone if number % 2 else ("tf_efficientnet_lite0" if number else TrainOptions().backbone)
        round_number = 1 + number * rounds // num_trials
        if number in {3 + 5 * i for i in range(num_failed)} and number < num_trials - 1:
            trials.append(ScoredTrial(number=number, round=round_number, values=values, options=TrainOptions(), failure=failure))
        else:
            trials.append(scored(number, round_number, values, rng, targets=targets, folds=folds, latency=latency))
    done = [one for one in trials if one.failure is None]
    target = targets[-1]
    winner = max(done, key=lambda one: (one.scores[target].top1, -one.number))
    best = winner.scores[target].top1
    seeds = tuple(
        winner.model_copy(
            update={
                "number": num_trials + 1 + i,
                "options": winner.options.model_copy(update={"seed": i + 1}),
                "scores": {t: Top1(top1=max(0, s.top1 - 0.02 * i), interval=s.interval) for t, s in winner.scores.items()},
            }
        )
        for i in range(3)
    )
    return Search(
        created="2026-11-27T04:11:57.966Z",
        plan=some(
            SearchPlanResult,
            search=SearchOptions(
                search=list(winner.values),
                num_trials=max(num_trials, rounds),
                rounds=rounds,
                folds=folds,
                objectives="accuracy and latency" if latency else "accuracy",
            ),
            clip_seconds=8,
            fold_uris=tuple(f"s3://retake/searches/5e/folds/{i}/" for i in range(folds)),
        ),
        targets=targets,
        num_clips=NUM_CLIPS,
        num_sources=1 if one_source else NUM_SOURCES,
        majority_top1=0.12,
        trials=tuple(trials),
        curves={one.number: curve(one, has_accuracy=has_accuracy) for one in done},
        winner=winner.number,
        pareto=front(done, target) if latency else (),
        importances=()
        if num_trials < 10
        else tuple(
            Importance(option=name, share=share, interval=(max(0, share - 0.12), min(1, share + 0.2)), by_chance=chance)
            for name, share, chance in zip(
                BY_IMPORTANCE,
                (0.61, 0.17, 0.04, 0.03, 0.02, 0.02, 0.01, 0.01),
                (0.4, 0.06, 0.33, 0.15, 0.35, 0.34, 0.08, 0.1),
                strict=False,
            )
        ),
        importance_note=note
        or (
            "Only 3 trials can be compared. It takes 10 to tell which options matter, and more to be sure."
            if num_trials < 10
            else "learning_rate and class_weights explain more than chance would."
        ),
        bias=SelectionBias(
            num_trials=len(done),
            best_of_equal=None if one_source else 0.071,
            optimism=None if one_source else 0.034,
            corrected=None if one_source else best - 0.034,
            seeds=seeds,
        ),
    )


def front(trials, target):
    """Numbers of the trials that no other beats in both."""
    return tuple(
        one.number
        for one in trials
        if not any(
            other.scores[target].top1 >= one.scores[target].top1 and other.latency_seconds <= one.latency_seconds and other is not one
            for other in trials
        )
    )
