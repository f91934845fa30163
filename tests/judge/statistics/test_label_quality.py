"""Cohen's kappa of two readers, and doubtful labels."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from tasks.judge.statistics.label_quality import MAX_LISTED, agreement, audit_labels, confident_errors
from tasks.store.records.dataset import NO_OBJECT, NOTHING
from tests.data.labels.records import dataset_clip

ACTIONS = {"-": (NOTHING, NO_OBJECT), "pm": ("put", "meat"), "tm": ("take", "meat"), "tb": ("take", "bag")}


def in_videos(num_videos, num_clips, answers="ab"):
    """Clips on which both readers agree."""
    return [(f"v{n // num_clips}", *2 * (answers[n % len(answers)],)) for n in range(num_videos * num_clips)]


@settings(max_examples=40)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abc")), min_size=1, max_size=40))
def test_kappa_is_that_of_scikit_learn(answers):
    assume(len({word for pair in answers for word in pair}) > 1)
    assert agreement([("v", *pair) for pair in answers]).kappa == pytest.approx(cohen_kappa_score(*zip(*answers, strict=True)))


def test_the_interval_resamples_videos():
    pairs = [(f"v{i}", "a" if i % 2 else "b", "a" if i % 2 or i == 4 else "b") for i in range(20) for _ in range(5)]
    agreed = agreement(pairs)
    alone = agreement([(f"{video}-{n % 5}", first, second) for n, (video, first, second) in enumerate(pairs)])
    assert agreed.interval[0] < agreed.kappa < agreed.interval[1]
    assert agreed.interval[1] - agreed.interval[0] > alone.interval[1] - alone.interval[0]


@pytest.mark.parametrize("num_videos", [1, 2])
def test_one_or_two_videos_have_no_interval_one_answer_no_kappa_and_no_clips_nothing(num_videos):
    alike = agreement(in_videos(5, 1, "a"))
    assert (alike.kappa, alike.interval, alike.share) == (None, None, 1)
    assert agreement([]) is None
    agreed = agreement([*in_videos(num_videos, 2), ("v0", "a", "b")])
    assert agreed.interval is None
    assert (agreed.num_clips, agreed.num_videos) == (2 * num_videos + 1, num_videos)


def test_readers_who_agree_on_all_of_few_clips_may_yet_differ():
    """The lower limit: of 10 independent clips at least 69 % have the same answer; half of all do so by chance."""
    few, many = agreement(in_videos(5, 2)), agreement(in_videos(60, 2))
    assert few.kappa == few.interval[1] == many.kappa == many.interval[1] == 1
    assert few.interval[0] < (0.69 - 0.5) / 0.5
    assert 0.9 < many.interval[0] < 1


@settings(max_examples=40)
@given(seed=st.integers(0, 99), num_videos=st.integers(3, 6))
def test_the_interval_holds_kappa_and_is_a_kappa(seed, num_videos):
    pairs = [(f"v{n % num_videos}", "ab"[seed >> n & 1], "ab"[seed >> (n // 2) & 1]) for n in range(2 * num_videos)]
    agreed = agreement(pairs, 50)
    if agreed.interval:
        assert -1 <= agreed.interval[0] <= agreed.kappa <= agreed.interval[1] <= 1


def clips_of(given):
    return [dataset_clip(uid=f"clip-{i}", verb=ACTIONS[of][0], noun=ACTIONS[of][1]) for i, of in enumerate(given)]


def test_what_is_confidently_another_class_is_an_error():
    """Worked by hand: the thresholds are 0.6, 0.55 and 0.9."""
    given = np.array([0, 0, 1, 1, 2])
    probabilities = np.array([[0.9, 0.1, 0.0], [0.3, 0.6, 0.1], [0.1, 0.8, 0.1], [0.65, 0.3, 0.05], [0.0, 0.1, 0.9]])
    assert confident_errors(given, probabilities).tolist() == [False, True, False, True, False]
    probabilities[1] = [0.3, 0.5, 0.2]
    assert confident_errors(given, probabilities).tolist() == [False, False, False, True, False], "0.5 reaches no threshold"


SEEN = ("pm", "pm", "tm", "tb", "tb", "tm", "-")
"""The last but two was a `put meat`, and the last but one a `take bag` by its noun."""
VERBS = np.array([[0, 0.9, 0.1], [0, 0.8, 0.2], [0, 0.2, 0.8], [0, 0.1, 0.9], [0.0, 0.95, 0.05], [0, 0.1, 0.9], [0.9, 0.1, 0]])
NOUNS = np.array([[0, 0.1, 0.9], [0, 0.2, 0.8], [0, 0.1, 0.9], [0, 0.9, 0.1], [0.0, 0.02, 0.98], [0, 0.99, 0.01], [0.9, 0.1, 0]])


def test_doubtful_labels_come_with_the_likely_action_of_the_dataset_the_least_probable_label_first():
    audit = audit_labels(clips_of(SEEN), VERBS, NOUNS)
    assert (audit.num_clips, audit.num_judged, audit.num_doubtful) == (7, 7, 2)
    listed = [(label.uid, label.verb, label.noun, label.likely_verb, label.likely_noun) for label in audit.doubtful]
    assert listed == [("clip-4", "take", "bag", "put", "meat"), ("clip-5", "take", "meat", "take", "bag")]
    assert [label.probability for label in audit.doubtful] == pytest.approx([0.001, 0.009])
    assert [label.likely_probability for label in audit.doubtful] == pytest.approx([0.931, 0.891])


@pytest.mark.parametrize(
    ("verb", "noun", "num_judged", "listed"),
    [
        ([np.nan] * 3, [np.nan] * 3, 6, []),
        ([0, 0.9, np.nan], NOUNS[4], 7, [0.02]),
        (VERBS[4], [0, np.nan, 1], 7, [0.05]),
        ([0, 0.9, np.nan], [0, np.nan, 1], 6, []),
    ],
    ids=["no probe", "verb unknown", "noun unknown", "both unknown"],
)
def test_what_no_probe_could_judge_is_not_judged(verb, noun, num_judged, listed):
    verbs, nouns = VERBS.copy(), NOUNS.copy()
    verbs[4], nouns[4] = verb, noun
    audit = audit_labels(clips_of(SEEN), verbs, nouns)
    assert audit.num_judged == num_judged
    assert [label.probability for label in audit.doubtful if label.uid == "clip-4"] == listed


def test_the_likely_label_is_another_one_even_where_the_own_is_more_probable():
    """Half is little for `put`, and much for `take`."""
    verbs = np.array([[0.95, 0.05], [0.55, 0.45], [0.6, 0.4], [0.65, 0.35]])
    doubtful = audit_labels(clips_of(["pm", "pm", "tm", "tm"]), verbs, np.ones((4, 1))).doubtful
    assert [(label.uid, label.likely_verb) for label in doubtful] == [("clip-1", "take")]


def test_without_objects_the_verbs_alone_are_judged():
    clips = [clip.model_copy(update={"noun": NO_OBJECT}) for clip in clips_of(SEEN)]
    (doubtful,) = audit_labels(clips, VERBS, np.ones((7, 1))).doubtful
    assert (doubtful.uid, doubtful.likely_verb, doubtful.likely_noun) == ("clip-4", "put", NO_OBJECT)


def test_the_list_is_bounded_and_the_number_is_whole():
    number = MAX_LISTED + 5
    verbs = np.concatenate([np.tile([[0.9, 0.1], [0.1, 0.9]], (number, 1)), np.tile([[0.05, 0.95]], (number, 1))])
    audit = audit_labels(clips_of(["pm", "tm"] * number + ["pm"] * number), verbs, np.ones((3 * number, 1)))
    assert (audit.num_doubtful, len(audit.doubtful)) == (number, MAX_LISTED)
