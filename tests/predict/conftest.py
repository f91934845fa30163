"""The scored clips that these tests share with those of other rooms, and intervals in scored windows."""

import shutil

import pytest

from tasks.predict.scored_video import find_intervals
from tests.predict.material import NAMES, VIDEOS, write_windows
from tests.scored_clips import make_clips, make_result, vocabulary

__all__ = ["make_clips", "make_result", "vocabulary"]


@pytest.fixture
def find(tmp_path):
    """Find the intervals in videos of which each of `says` tells what the networks say."""

    def call(plan, *says, names=NAMES, roles=("model", "against")):
        videos = [write_windows(tmp_path, video, said, roles) for video, said in zip(VIDEOS, says, strict=False)]
        return find_intervals(plan, videos, names, tmp_path, shutil.copy)

    return call
