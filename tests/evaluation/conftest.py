"""The scored clips that these tests share with those of other rooms, and scores of any clips."""

import numpy as np
import pytest

from tasks.evaluation.metrics import summarise
from tasks.evaluation.scoring import Timings
from tests.scored_clips import make_clips, make_result, original, vocabulary

__all__ = ["make_clips", "make_result", "original", "vocabulary"]
USUAL = ("model", "split", "crops", "predictions_uri", "engine", "num_parameters", "num_flops", "peak_memory_bytes", "hardware")


@pytest.fixture(scope="session")
def summary(make_result):
    """The scores of these clips; whatever else a result tells is as usual."""
    usual = {name: getattr(make_result(), name) for name in USUAL}

    def make(clips, vocabulary, **known):
        seconds = np.full(len(clips.uids), 0.1)
        return summarise(clips, Timings(seconds, seconds, 1.0), vocabulary, num_frames=8, **usual | known)

    return make
