"""A learning curve of made-up trainings."""

import numpy as np

from tasks.dataset.subsets import SHARES
from tasks.evaluation.learning_curve import learning_curve
from tasks.results.learning_curve import LearningCurveResult
from tasks.results.record import TARGETS
from tests.records import some
from tests.simulations.labels import TRUTHS, answers


def curve_of(num_films=30, *, num_clips=120, targets=TARGETS, **changes):
    """The curves of a law, on val films of five clips."""
    truth = next(truth for truth in TRUTHS if truth.name == "usual")
    sources = [str(film) for film in range(num_films) for _ in range(5)]
    sizes = [max(1, round(share * num_clips)) for share in SHARES]
    curves = tuple(
        learning_curve(
            answers(np.random.default_rng(seed), truth, num_films), sizes, sources, target=target, majority_top1=0.35, num_resamples=200
        )
        for seed, target in enumerate(targets)
    )
    values = {
        "recipe": "own",
        "num_clips": num_clips,
        "num_sources": 12,
        "num_val_clips": len(sources),
        "num_val_sources": num_films,
        "num_draws": 5,
        "num_asked_epochs": 60,
        "num_epochs": 60,
    }
    return some(LearningCurveResult, curves=curves, **values | changes)
