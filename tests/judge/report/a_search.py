"""A made-up search: trials by a plausible rule, and the numbers of its report."""

import numpy as np

from tasks.judge.search.suggest import pareto_front
from tasks.options import SearchOptions, TrainOptions
from tasks.store.records.record import TARGETS
from tasks.store.records.search import Importance, ScoredTrial, Search, SearchPlanResult, SelectionBias, Top1
from tasks.store.records.training import Epoch
from tests.records import some

NUM_CLIPS, NUM_SOURCES = 96, 21
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
    last = list(trial.scores.values())[-1].top1
    epochs = []
    for epoch, share in enumerate(1 - np.exp(-np.arange(1, trial.num_epochs + 1) / 4)):
        accuracies = {f"val_{target}_top1": last * share if has_accuracy else None for target in TARGETS}
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
        values = values_of(rng) if number else {name: getattr(TrainOptions(), name) for name in values_of(rng)}
        if backbone:
            values["backbone"] = backbone if number % 2 else ("tf_efficientnet_lite0" if number else TrainOptions().backbone)
        round_number = 1 + number * rounds // num_trials
        if number in {3 + 5 * i for i in range(num_failed)} and number < num_trials - 1:
            trials.append(ScoredTrial(number=number, round=round_number, values=values, options=TrainOptions(), failure=failure))
        else:
            trials.append(scored(number, round_number, values, rng, targets=targets, folds=folds, latency=latency))
    done = [trial for trial in trials if trial.failure is None]
    winner = max(done, key=lambda trial: (trial.scores[targets[-1]].top1, -trial.number))
    lucky = {"best_of_equal": 0.071, "optimism": 0.034, "corrected": winner.scores[targets[-1]].top1 - 0.034}
    options = {"rounds": rounds, "folds": folds, "objectives": "accuracy and latency" if latency else "accuracy"}
    can_compare = num_trials >= 10
    return Search(
        created="2026-11-27T04:11:57.966Z",
        plan=some(
            SearchPlanResult,
            search=SearchOptions(search=list(winner.values), num_trials=max(num_trials, rounds), **options),
            fold_uris=tuple(f"s3://retake/searches/5e/folds/{i}/" for i in range(folds)),
        ),
        targets=targets,
        num_clips=NUM_CLIPS,
        num_sources=1 if one_source else NUM_SOURCES,
        majority_top1=0.12,
        trials=tuple(trials),
        curves={trial.number: curve(trial, has_accuracy=has_accuracy) for trial in done},
        winner=winner.number,
        pareto=pareto_front(done, targets[-1]) if latency else (),
        importances=tuple(Importance(option=name, share=0.5 / n) for n, name in enumerate(BY_IMPORTANCE, 1)) if can_compare else (),
        importance_note=note or ("These shares are of this search's trials alone." if can_compare else "Too few trials can be compared."),
        bias=SelectionBias(
            num_trials=len(done),
            seeds=tuple(with_seed(winner, num_trials + seed, seed) for seed in (1, 2, 3)),
            **({} if one_source or num_trials < 4 else {"gain": 0.021, "gain_interval": (-0.04, 0.082)}),
            **dict.fromkeys(lucky) if one_source else lucky,
        ),
    )


def with_seed(winner, number, seed):
    """The winner's recipe once more, which scores a little less."""
    scores = {target: Top1(top1=max(0, score.top1 - 0.02 * seed), interval=score.interval) for target, score in winner.scores.items()}
    return winner.model_copy(update={"number": number, "options": winner.options.model_copy(update={"seed": seed}), "scores": scores})
