"""Fixtures of this folder with those of other rooms, and benches to run steps on."""

import pytest

from tasks.store.records.dataset import NO_OBJECT
from tests.pipeline.retrain.bench import TrainingBench
from tests.pipeline.retrain.evaluating import score, scorings, shelf, undrawn
from tests.scored_clips import make_clips, make_result, vocabulary

__all__ = ["make_clips", "make_result", "score", "scorings", "shelf", "undrawn", "vocabulary"]


@pytest.fixture
def bench(films, mlflow, undrawn, machine):
    return TrainingBench(films, mlflow)


@pytest.fixture
def verbs(bench):
    """A bench with clips whose labels name no object."""
    bench.label(("wave", 125, NO_OBJECT, 352), ("наливать", 126, NO_OBJECT, 352))
    return bench
