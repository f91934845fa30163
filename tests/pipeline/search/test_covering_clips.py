import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadDataset
from tasks.pipeline.search._rounds import covering
from tasks.store.records.video import ClipRecord
from tests.data.labels.records import clip_record
from tests.judge.search.trials import clip


def cut(clip_seconds: float, video_seconds: float) -> list[ClipRecord]:
    starts = [clip_seconds * i for i in range(int(video_seconds / clip_seconds))]
    return [clip_record("v", start_seconds=start, stop_seconds=start + clip_seconds) for start in starts]


@given(clip_seconds=st.sampled_from([1, 2, 3, 4, 8, 16]), index=st.integers(0, 5))
def test_the_clips_of_another_length_cover_each_second_of_a_clip_once(clip_seconds, index):
    covered = covering(clip(start_seconds=8 * index, stop_seconds=8 * index + 8), cut(clip_seconds, 96))
    assert sum(seconds for _, seconds in covered) == pytest.approx(8)
    assert all(0 < seconds <= min(8, clip_seconds) for _, seconds in covered)
    assert all(part.start_seconds < 8 * index + 8 and part.stop_seconds > 8 * index for part, _ in covered)


def test_a_clip_that_none_of_another_length_covers_is_named():
    with pytest.raises(BadDataset, match="no clip of this length covers a"):
        covering(clip(start_seconds=96, stop_seconds=98), cut(4, 96))
