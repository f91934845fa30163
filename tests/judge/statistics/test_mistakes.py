from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.errors import BadInput
from tasks.judge.statistics.answers import answers_of
from tasks.judge.statistics.mistakes import (
    MAX_LISTED,
    MAX_VALUES,
    SOURCE_VIDEO,
    confusion_of,
    confusions,
    group_scores,
    worst_misnamed,
    worst_mistakes,
    worst_wrong,
)
from tasks.judge.statistics.uncertainty import top1_interval
from tasks.store.records.record import TARGETS
from tests.data.labels.records import dataset_clip
from tests.scored_clips import about, answers


def test_the_commonest_class_comes_first_what_is_only_predicted_last_and_rare_classes_share_a_row_and_a_column():
    confusion = confusion_of(answers([1, 0, 1, 1], [1, 7, 0, 7]))
    assert (confusion.rows, confusion.columns) == (("n1", "n0"), ("n1", "n0", "n7"))
    assert confusion.counts.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert confusion.support.tolist() == [3, 1]
    confusion = confusion_of(answers([0, 0, 1, 1, 2, 3], [0, 8, 1, 2, 3, 3]), max_classes=2)
    assert (confusion.rows, confusion.columns) == (("n0", "n1", "2 others"), ("n0", "n1", "3 others"))
    assert confusion.counts.tolist() == [[1, 0, 1], [0, 1, 1], [0, 0, 2]]


@settings(max_examples=30)
@given(pairs=st.lists(st.tuples(st.integers(0, 8), st.integers(0, 12)), min_size=1), max_classes=st.integers(1, 15))
def test_every_clip_is_counted_once_and_no_row_is_empty(pairs, max_classes):
    confusion = confusion_of(answers([t for t, _ in pairs], [p for _, p in pairs]), max_classes)
    assert confusion.counts.shape == (len(confusion.rows), len(confusion.columns))
    assert confusion.counts.sum() == len(pairs)
    assert (confusion.support > 0).all()
    assert len(confusion.columns) <= max_classes + 1


def test_the_matrices_of_a_report_hold_every_clip_of_every_network(make_clips, vocabulary):
    scored = {"baseline": make_clips(seed=1), "fine-tuned": make_clips(seed=2)}
    tables = confusions(scored, vocabulary)
    assert [(c.model, c.target) for c in tables] == [(model, target) for model in scored for target in TARGETS]
    assert all(sum(map(sum, c.counts)) == 20 for c in tables)
    for c in tables:
        errors = {(i, j): n for i, row in enumerate(c.counts) for j, n in enumerate(row) if n and c.rows[i] != c.columns[j]}
        assert {(cell.row, cell.column): cell.num_clips for cell in c.wrong} == errors
        assert all(len(cell.uids) == min(cell.num_clips, MAX_LISTED) for cell in c.wrong)
        losses = dict(zip(scored[c.model].uids, scored[c.model].losses.tolist(), strict=True))
        assert all(sorted(cell.uids, key=lambda uid: -losses[uid]) == list(cell.uids) for cell in c.wrong)
    assert all(len(c.counts) == len(c.rows) and {len(row) for row in c.counts} == {len(c.columns)} for c in tables)


@pytest.fixture
def scored(make_clips):
    """What the fine-tuned network and its opponent answered on the same 40 clips, and the clips."""
    ours = make_clips(40, skill=3)
    theirs = about(ours, make_clips(40, seed=1, skill=1))
    pairs = zip(ours.uids, ours.verb_classes.tolist(), ours.noun_classes.tolist(), strict=True)
    return ours, theirs, [dataset_clip(uid, verb=f"verb {verb}", noun=f"noun {noun}") for uid, verb, noun in pairs]


def test_the_worst_of_the_wrong_clips_come_first_with_what_was_said_instead(make_clips, vocabulary):
    clips = make_clips(40, skill=3.0)
    verb_right = clips.verb_logits.argmax(1) == clips.verb_classes
    noun_right = clips.noun_logits.argmax(1) == clips.noun_classes
    mistakes = worst_misnamed(clips, vocabulary, 40)
    losses = [clips.losses[m.clip] for m in mistakes]
    assert losses == sorted(clips.losses[~(verb_right & noun_right)], reverse=True)
    assert worst_misnamed(clips, vocabulary, 4) == mistakes[:4]
    assert {m.target for m in mistakes} == {"verb", "noun"}
    for m in mistakes:
        assert m.target == ("noun" if verb_right[m.clip] else "verb")
        logits, true = (clips.verb_logits, clips.verb_classes) if m.target == "verb" else (clips.noun_logits, clips.noun_classes)
        assert m.class_id == logits[m.clip].argmax() != true[m.clip]


def test_clips_of_equal_loss_come_in_the_order_of_their_uids(make_clips, vocabulary):
    """As the report shows them, which knows the clips by uid."""
    clips = make_clips(2, classes=1, skill=-5.0)
    same = replace(clips, uids=("b", "a"), verb_logits=clips.verb_logits[[0, 0]], noun_logits=clips.noun_logits[[0, 0]])
    assert worst_wrong(same, vocabulary, 2) == [1, 0]
    assert [m.clip for m in worst_misnamed(same, vocabulary, 1)] == [1]


def test_the_worst_mistakes_are_the_largest_losses_among_the_wrong_and_say_what_was_named(scored, vocabulary):
    ours, theirs, clips = scored
    wrong = np.flatnonzero(~answers_of(ours, vocabulary)["action"].right)
    mistakes = worst_mistakes(ours, theirs, clips, vocabulary, num=5)
    assert len(wrong) > 5
    assert [m.loss for m in mistakes] == sorted(ours.losses[wrong], reverse=True)[:5]
    assert len(worst_mistakes(ours, theirs, clips, vocabulary, num=1000)) == len(wrong)
    (mistake,) = worst_mistakes(ours, theirs, clips[::-1], vocabulary, num=1)
    i = ours.uids.index(mistake.uid)
    assert (mistake.true_verb, mistake.true_noun) == (clips[i].verb, clips[i].noun)
    assert (mistake.clip_uri, mistake.source) == (clips[i].uri, ours.sources[i])
    for whose, scores in (("predicted", ours), ("opponent", theirs)):
        for target in ("verb", "noun"):
            answers = answers_of(scores, vocabulary)[target]
            assert getattr(mistake, f"{whose}_{target}") == answers.names[answers.predicted[i]]


def test_a_network_that_is_always_right_makes_no_mistakes(make_clips, vocabulary):
    clips = make_clips(10, skill=1000)
    assert worst_misnamed(clips, vocabulary, 4) == []
    assert worst_mistakes(clips, clips, [dataset_clip(uid) for uid in clips.uids], vocabulary) == ()


def test_mistakes_on_other_clips_are_refused(scored, vocabulary):
    ours, theirs, clips = scored
    for others, known in ((replace(theirs, uids=theirs.uids[::-1]), clips), (theirs, clips[1:])):
        with pytest.raises(BadInput, match="run `evaluate` again"):
            worst_mistakes(ours, others, known, vocabulary)


def grouped(*videos):
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
    right, sources, columns = grouped(("old", 2, 8), ("old", 1, 9), ("new", 9, 1), ("new", 10, 0), ("new", 9, 1), (None, 5, 5))
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
    assert {score.name: score.p_value < 0.05 for score in group_scores(*grouped(*videos))[-2:]} == {"old": True, "new": True}
    equal = group_scores(*grouped(*[("old", 5, 5)] * 4 + [("new", 6, 4)] * 4))
    assert min(score.p_value for score in equal) > 0.3


def test_where_the_clips_of_a_video_are_alike_two_bad_videos_do_not_blame_their_camera():
    alike = grouped(("old", 0, 20), ("old", 20, 0), ("new", 20, 0), ("new", 20, 0))
    camera = group_scores(*alike)[-1]
    assert camera.p_value > 0.2
    assert group_scores(*alike)[0].p_value < 0.001, "the video itself is bad"


@pytest.mark.parametrize(
    "videos",
    [[("old", 0, 4), *[("new", 9, 1)] * 2], [("old", 0, 9), *[("new", 9, 0)] * 2], [("old", 1, 9), ("old", 2, 8)]],
    ids=["clips", "videos", "no rest"],
)
def test_few_clips_or_videos_are_too_few_to_tell(videos):
    scores = group_scores(*grouped(*videos))
    assert not [score for score in scores if score.name == "old" and score.p_value is not None]


def test_p_values_are_corrected_for_the_groups_of_their_column_and_columns_of_remarks_are_left_out():
    right, sources, columns = grouped(*[("old", 1, 9)] * 4 + [("new", 9, 1)] * 4)
    alone = group_scores(right, sources, {"camera": columns["camera"]})
    assert group_scores(right, sources, columns)[-2:] == alone, "other columns hide nothing"
    few, many = (group_scores(*grouped(("a", 2, 18), *[("b", 18, 2)] * number))[0].p_value for number in (4, 40))
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
        right, sources, columns = grouped(*((str(number % 2), int(count), 8 - int(count)) for number, count in enumerate(counts)))
        scores = group_scores(right, sources, {"camera": columns["camera"]})
        num_blamed += any(score.p_value is not None and score.p_value < 0.05 for score in scores)
    assert num_blamed / 200 <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / 200)
