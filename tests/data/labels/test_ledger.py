"""Which answers of two readers count as blind, and how many labels of the page a build does not have yet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.labels.ledger import differing, num_new_labels, read_twice
from tests.data.labels.test_statements import CLIPS, Writer


def pairs(said: str, merged=()) -> list[tuple[str, str]]:
    """The blind answers of two readers; `said` has clip, person, reading and verb of each statement, and whether it is taken back."""
    log = Writer()
    for words in said.split(", "):
        clip, by, reading, verb, *taken_back = words.split()
        token = log.clip(CLIPS[int(clip)], verb, "meat", by=by, answer="unsure" if verb == "unsure" else "action", reading=reading)
        if taken_back:
            log.withdraw(token, undo=True)
    for names in merged:
        log.merge("verb", *names)
    return [(pair.first, pair.second) for pair in read_twice(log.ledger)]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param(
            "0 anna first put, 0 ben second take, 1 anna first put, 1 ben first take, 2 anna first put, 2 anna second put",
            [("put meat", "take meat")],
            id="only a second reading by another person counts",
        ),
        pytest.param(
            "0 anna first tkae, 0 anna first take, 0 ben second tak, 0 ben second take",
            [("take meat", "take meat")],
            id="an error that its reader mends while blind is none",
        ),
        pytest.param(
            "0 anna first put, 0 ben second take, 0 anna first take, 0 ben first put",
            [("put meat", "take meat")],
            id="what is said after the other answer could be seen does not count",
        ),
        pytest.param(
            "0 anna first take, 0 anna first put back, 0 ben second put back, 0 ben second take",
            [("take meat", "take meat")],
            id="an answer that was taken back counts for nothing",
        ),
        pytest.param(
            "0 anna first put, 0 anna first unsure, 0 ben second take, 0 anna first take, 1 anna first put, 1 ben second unsure",
            [],
            id="whoever is unsure in the end has read nothing",
        ),
    ],
)
def test_which_answers_count(said, expected):
    assert pairs(said) == expected


def test_names_that_were_merged_are_one_answer():
    assert pairs("0 anna first put, 0 ben second place", merged=[("place", "put")]) == [("put meat", "put meat")]


def test_clips_that_two_people_label_differently_are_listed():
    log = Writer()
    for clip, verb in zip(CLIPS, ("take", "put", "wash"), strict=True):
        log.clip(clip, "put", "meat")
        log.clip(clip, verb, "meat", by="ben", reading="second")
    assert [(clip.uid, clip.first, clip.second) for clip in differing(read_twice(log.ledger))] == [
        ("aaaaaaaaaaaa_000000000-000008000", "put meat", "take meat"),
        ("aaaaaaaaaaaa_000016000-000024000", "put meat", "wash meat"),
    ]


def test_clips_and_intervals_count_once_each_however_often_they_were_changed_and_not_if_they_were_taken_back():
    log = Writer()
    for _ in range(10):
        log.withdraw(log.clip(CLIPS[0], "put", "meat"), undo=True)
    log.withdraw(log.interval(0, 3, "put", "meat"))
    assert num_new_labels(log.ledger, 0) == 0
    for verb in ("put", "take", "put"):
        log.clip(CLIPS[0], verb, "meat")
    log.clip(CLIPS[1], None, answer="nothing")
    log.interval(0, 4, "put", "meat", replaces=log.interval(0, 3, "put", "meat"))
    log.interval(0, 4, "take", "bag")
    assert num_new_labels(log.ledger, 0) == 4


def test_only_differences_from_the_build_count():
    log = Writer()
    log.clip(CLIPS[0], "put", "meat")
    log.clip(CLIPS[1], "put", "meat")
    kept, moved = log.interval(0, 3, "put", "meat"), log.interval(4, 8, "take", "bag")
    num_built = len(log.entries)
    log.clip(CLIPS[0], "put", "meat", by="ben")
    log.clip(CLIPS[1], "take", "meat", by="ben")
    log.interval(4, 7, "take", "bag", replaces=moved)
    log.withdraw(kept)
    assert num_new_labels(log.ledger, num_built) == 2
    assert num_new_labels(log.ledger, len(log.entries)) == 0


def test_a_class_that_was_renamed_and_a_person_who_is_unsure_add_none():
    log = Writer()
    log.clip(CLIPS[0], "place", "meat")
    log.interval(0, 3, "place", "meat")
    num_built = len(log.entries)
    log.merge("verb", "place", "put")
    log.clip(CLIPS[0], "put", "meat", by="ben")
    log.clip(CLIPS[1], None, answer="unsure")
    log.clip(CLIPS[0], None, answer="unsure")
    assert num_new_labels(log.ledger, num_built) == 0


@given(st.lists(st.tuples(st.sampled_from(CLIPS), st.sampled_from(["put", "take", ""])), max_size=12), st.integers(0, 12))
def test_there_are_never_more_than_clips_and_never_more_than_lines(said, num_built):
    log = Writer()
    for clip, verb in said:
        log.clip(clip, verb, answer="action" if verb else "unsure")
    assert num_new_labels(log.ledger, num_built) <= min(len(CLIPS), max(0, len(log.entries) - num_built))
