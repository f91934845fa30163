"""What the page Label has answered since the last build."""

import pytest

from tasks.data.labels.ledger import Ledger
from tasks.loop.page_answers import PageAnswers, page_answers
from tests.data.labels.test_statements import CLIPS, Writer
from tests.loop.statuses import model_status, status


def since_build(log, num_statements=0, **changes):
    """The answers of a log, whose first statements the last build has read."""
    return page_answers(
        Ledger.of(log.entries), status(labels=status().labels.model_copy(update={"num_statements": num_statements}), **changes)
    )


@pytest.fixture
def log():
    return Writer()


def test_answers_that_were_taken_back_or_given_anew_and_doubts_are_no_further_labels(log):
    log.withdraw(log.clip(CLIPS[0], "put", "meat"))
    log.clip(CLIPS[1], "put", "meat")
    log.clip(CLIPS[1], "take", "bag")
    log.clip(CLIPS[2], None, answer="unsure")
    log.interval(0, 3, "take", "bag")
    assert since_build(log) == PageAnswers(num_labels=2, num_clips=2)


def test_answers_that_the_last_build_has_read_are_not_new_and_clips_that_had_one_are_no_new_clips(log):
    for clip in CLIPS[:2]:
        log.clip(clip, "put", "meat")
    assert since_build(log, 2) == PageAnswers()
    log.clip(CLIPS[0], "take", "bag")
    log.clip(CLIPS[2], "take", "bag", checked=True)
    assert since_build(log, 2) == PageAnswers(num_labels=2, num_clips=0)


def test_an_answer_that_was_built_and_is_taken_back_and_given_anew_is_of_no_new_clip(log):
    token = log.clip(CLIPS[0], "put", "meat")
    log.withdraw(token)
    log.clip(CLIPS[0], "take", "bag")
    assert since_build(log, 1) == PageAnswers(num_labels=1, num_clips=0)


def test_intervals_and_merges_of_classes_are_new_until_a_build_has_read_them(log):
    log.interval(0, 3, "take", "bag")
    merge = log.merge("verb", "take", "grab")
    answers = [since_build(log, number) for number in (0, 1, 2)]
    assert [(each.num_labels, each.num_merges) for each in answers] == [(1, 1), (0, 1), (0, 0)]
    log.withdraw(merge)
    assert since_build(log, 1) == PageAnswers()


def test_an_answer_that_was_given_again_unchanged_is_no_new_label(log):
    log.clip(CLIPS[0], "put", "meat")
    log.interval(0, 3, "take", "bag")
    log.clip(CLIPS[0], "put", "meat", by="ben")
    log.interval(0, 3, "take", "bag")
    assert since_build(log, 2) == PageAnswers()


def test_doubtful_labels_that_the_page_has_settled_are_left_out(log):
    doubtful = {clip.uid: ("put", "meat", "take", "bag") for clip in CLIPS}
    model = model_status(num_doubtful=9, doubtful=doubtful)
    log.clip(CLIPS[0], "put", "meat")
    assert since_build(log, model=model).num_settled == 0
    log.clip(CLIPS[0], "put", "meat", checked=True)
    log.clip(CLIPS[1], "take", "bag")
    assert since_build(log, model=model).num_settled == 2
    log.merge("verb", "put", "place")
    assert since_build(log, model=model).num_settled == 2
    log.withdraw("token-0001")
    assert since_build(log, model=model).num_settled == 1


def test_doubts_between_classes_that_were_merged_are_settled_whoever_gave_the_label(log):
    doubtful = {CLIPS[0].uid: ("put", "meat", "place", "meat"), CLIPS[1].uid: ("put", "meat", "place", "bag")}
    model = model_status(doubtful=doubtful)
    log.clip(CLIPS[1], "put", "meat")
    assert since_build(log, model=model).num_settled == 0
    log.merge("verb", "put", "place")
    assert since_build(log, model=model).num_settled == 1


def test_of_the_clips_that_the_latest_prediction_chose_those_answered_since_are_counted(log):
    for clip, chosen in zip(CLIPS[:3], (True, True, None), strict=True):
        log.clip(clip, "put", "meat", chosen=chosen)
    (latest,) = status().predictions.predictions
    later = [entry.statement.at for entry in log.entries][1]
    predictions = status().predictions.model_copy(update={"predictions": (latest.model_copy(update={"at": later}),)})
    assert since_build(log, predictions=predictions).num_chosen == since_build(log, 3, predictions=predictions).num_chosen == 1
    assert since_build(log, predictions=None).num_chosen == 0
