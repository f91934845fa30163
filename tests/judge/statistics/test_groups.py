import numpy as np
import pytest

from tasks.judge.statistics.groups import MAX_VALUES, SOURCE_VIDEO, group_scores
from tasks.judge.statistics.uncertainty import top1_interval


def clips(*videos):
    """Whether each clip is right, its video, and its camera: a video is its camera, and its numbers of right and of wrong clips."""
    rows = [
        (is_right, str(number), camera)
        for number, (camera, *counts) in enumerate(videos)
        for is_right, times in zip((True, False), counts, strict=True)
        for _ in range(times)
    ]
    right, sources, cameras = zip(*rows, strict=True)
    return np.array(right), sources, {SOURCE_VIDEO: sources, "camera": cameras}


def test_each_group_has_its_score_with_an_interval_over_videos_and_the_worst_comes_first():
    right, sources, columns = clips(("old", 2, 8), ("old", 1, 9), ("new", 9, 1), ("new", 10, 0), ("new", 9, 1), (None, 5, 5))
    scores = group_scores(right, sources, columns)
    assert [score.name for score in scores] == [*"105243", "old", "new"]
    assert [score.column for score in scores] == [*[SOURCE_VIDEO] * 6, *["camera"] * 2]
    old, new = scores[-2:]
    assert (old.num_clips, old.num_sources, old.top1, old.is_worse) == (20, 2, 0.15, True)
    assert (new.num_clips, new.num_sources, new.is_worse) == (30, 3, False)
    assert old.interval == top1_interval(right[:20], sources[:20])
    assert scores[0].interval != (0, 1), "the clips of one video are the sample"


def test_a_group_that_is_worse_by_far_is_told_and_chance_is_not():
    videos = [("old", 1, 9)] * 4 + [("new", 9, 1)] * 4
    assert {score.name: score.p_value < 0.05 for score in group_scores(*clips(*videos))[-2:]} == {"old": True, "new": True}
    equal = group_scores(*clips(*[("old", 5, 5)] * 4 + [("new", 6, 4)] * 4))
    assert min(score.p_value for score in equal) > 0.3


def test_where_the_clips_of_a_video_are_alike_two_bad_videos_do_not_blame_their_camera():
    alike = clips(("old", 0, 20), ("old", 20, 0), ("new", 20, 0), ("new", 20, 0))
    camera = group_scores(*alike)[-1]
    assert camera.p_value > 0.2
    assert group_scores(*alike)[0].p_value < 0.001, "the video itself is bad"


@pytest.mark.parametrize(
    "videos",
    [[("old", 0, 4), *[("new", 9, 1)] * 2], [("old", 0, 9), *[("new", 9, 0)] * 2], [("old", 1, 9), ("old", 2, 8)]],
    ids=["clips", "videos", "no rest"],
)
def test_few_clips_or_videos_are_too_few_to_tell(videos):
    scores = group_scores(*clips(*videos))
    assert not [score for score in scores if score.name == "old" and score.p_value is not None]


def test_p_values_are_corrected_for_the_groups_of_their_column_and_columns_of_remarks_are_left_out():
    right, sources, columns = clips(*[("old", 1, 9)] * 4 + [("new", 9, 1)] * 4)
    alone = group_scores(right, sources, {"camera": columns["camera"]})
    assert group_scores(right, sources, columns)[-2:] == alone, "other columns hide nothing"
    few, many = (group_scores(*clips(("a", 2, 18), *[("b", 18, 2)] * number))[0].p_value for number in (4, 40))
    assert few < many, "more videos are more tests"
    remarks = {"remark": [f"{number}" for number in range(len(right))][: MAX_VALUES + 1] * 3, "always": ["x"] * len(right)}
    assert group_scores(right, sources, {name: values[: len(right)] for name, values in remarks.items()}) == ()


@pytest.mark.slow
@pytest.mark.parametrize(("correlation", "num_videos"), [(0.0, 6), (0.5, 6), (0.5, 20)])
def test_by_chance_any_camera_is_blamed_at_most_once_in_twenty(correlation, num_videos):
    rng = np.random.default_rng(0)
    num_blamed = 0
    for _ in range(200):
        share = rng.beta(*(np.array([0.7, 0.3]) * (1 - correlation) / correlation), num_videos) if correlation else np.full(num_videos, 0.7)
        counts = rng.binomial(8, share)
        right, sources, columns = clips(*((str(number % 2), int(count), 8 - int(count)) for number, count in enumerate(counts)))
        scores = group_scores(right, sources, {"camera": columns["camera"]})
        num_blamed += any(score.p_value is not None and score.p_value < 0.05 for score in scores)
    assert num_blamed / 200 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)
