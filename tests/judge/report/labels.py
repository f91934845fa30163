"""A learning curve of made-up trainings."""

from functools import cache

import numpy as np

from tasks.data.split.folds import SHARES
from tasks.judge.statistics.learning_curve import learning_curve
from tasks.store.records.curves import LearningCurveResult
from tasks.store.records.record import TARGETS
from tests.records import some
from tests.simulations.labels import TRUTHS, answers

NUM_CLIPS = 120


@cache
def curve_of(num_films=30, *, targets=TARGETS):
    """The curves of a usual law, on val films of five clips."""
    truth = next(truth for truth in TRUTHS if truth.name == "usual")
    sources = [str(film) for film in range(num_films) for _ in range(5)]
    sizes = [round(share * NUM_CLIPS) for share in SHARES]
    curves = []
    for seed, target in enumerate(targets):
        right = answers(np.random.default_rng(seed), truth, num_films)
        curves.append(learning_curve(right, sizes, sources, target=target, majority_top1=0.35, num_resamples=200))
    clips = {"num_clips": NUM_CLIPS, "num_sources": 12, "num_val_clips": len(sources), "num_val_sources": num_films}
    trainings = {"recipe": "own", "num_draws": 5, "num_asked_epochs": 60, "num_epochs": 60}
    return some(LearningCurveResult, curves=tuple(curves), **clips, **trainings)
