"""How many labels of the page a build does not have yet."""

from hypothesis import given
from hypothesis import strategies as st

from tasks.data.labels.new_labels import num_new_labels
from tests.data.labels.test_statements import CLIPS, Writer


def test_clips_and_intervals_count_once_each_however_often_they_were_changed_and_not_if_they_were_taken_back():
    log = Writer()
    for _ in range(10):
        log.withdraw(log.clip(CLIPS[0], "put", "meat"), undo=True)
    log.withdraw(log.interval(0, 3, "put", "meat"))
    assert num_new_labels(log.entries, 0) == 0
    for verb in ("put", "take", "put"):
        log.clip(CLIPS[0], verb, "meat")
    log.clip(CLIPS[1], None, answer="nothing")
    log.interval(0, 4, "put", "meat", replaces=log.interval(0, 3, "put", "meat"))
    log.interval(0, 4, "take", "bag")
    assert num_new_labels(log.entries, 0) == 4


def test_only_what_differs_from_the_build_counts():
    log = Writer()
    log.clip(CLIPS[0], "put", "meat")
    log.clip(CLIPS[1], "put", "meat")
    kept, moved = log.interval(0, 3, "put", "meat"), log.interval(4, 8, "take", "bag")
    num_built = len(log.entries)
    log.clip(CLIPS[0], "put", "meat", by="ben")
    log.clip(CLIPS[1], "take", "meat", by="ben")
    log.interval(4, 7, "take", "bag", replaces=moved)
    log.withdraw(kept)
    assert num_new_labels(log.entries, num_built) == 2
    assert num_new_labels(log.entries, len(log.entries)) == 0


def test_a_class_that_was_renamed_and_a_person_who_is_unsure_add_none():
    log = Writer()
    log.clip(CLIPS[0], "place", "meat")
    log.interval(0, 3, "place", "meat")
    num_built = len(log.entries)
    log.merge("verb", "place", "put")
    log.clip(CLIPS[0], "put", "meat", by="ben")
    log.clip(CLIPS[1], None, answer="unsure")
    log.clip(CLIPS[0], None, answer="unsure")
    assert num_new_labels(log.entries, num_built) == 0


@given(st.lists(st.tuples(st.sampled_from(CLIPS), st.sampled_from(["put", "take", ""])), max_size=12), st.integers(0, 12))
def test_there_are_never_more_than_clips_and_never_more_than_lines(said, num_built):
    log = Writer()
    for clip, verb in said:
        log.clip(clip, verb, answer="action" if verb else "unsure")
    assert num_new_labels(log.entries, num_built) <= min(len(CLIPS), max(0, len(log.entries) - num_built))
