"""Which answers of two readers count as blind, and how many labels of the page a build does not have yet."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.labels.ledger import Ledger, Words, differing, num_new_labels, read_twice
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


def test_what_came_back_as_something_else_was_taken_back_is_new():
    log = Writer()
    log.clip(CLIPS[0], "put", "meat")
    answer = log.clip(CLIPS[0], "take", "meat", by="ben")
    moved = log.interval(0, 4, "put", "meat", replaces=log.interval(0, 3, "put", "meat"))
    num_built = len(log.entries)
    for token in (answer, moved):
        log.withdraw(token, undo=True)
    assert num_new_labels(log.ledger, num_built) == 2


VERBS, ANY = st.sampled_from(["put", "take", "move"]), st.integers(0, 11)
WORK = st.one_of(
    st.tuples(st.just("clip"), st.sampled_from(CLIPS), VERBS | st.just("")),
    st.tuples(st.just("interval"), st.integers(0, 1), VERBS, st.none() | ANY),
    st.tuples(st.just("withdraw"), ANY, st.booleans()),
    st.tuples(st.just("merge"), VERBS, VERBS),
)


def labels(log: Writer, number: int) -> dict[object, Words]:
    """The labels of a log that ends after so many entries, by the names of all of it."""
    ledger, now = Ledger.of(log.entries[:number]), log.ledger
    clips = {key: now.words(statements[-1]) for key, statements in ledger.clips()}
    intervals = {(each.start_seconds, now.words(each)): now.words(each) for video in ledger.videos for each in ledger.intervals(video)}
    return {part: words for part, words in (clips | intervals).items() if words}


@given(st.lists(WORK, max_size=12), ANY)
def test_new_labels_are_those_that_differ_from_the_log_of_the_build(work, num_built):
    log = Writer()
    for what, *about in work:
        tokens = [entry.statement.token for entry in log.entries]
        match what, about:
            case "clip", (clip, verb):
                log.clip(clip, verb, answer="action" if verb else "unsure")
            case "interval", (start, verb, number):
                log.interval(
                    start, start + 1, verb, "meat", replaces=tokens[number % len(tokens)] if tokens and number is not None else None
                )
            case "withdraw", (number, undo) if tokens:
                log.withdraw(tokens[number % len(tokens)], undo=undo)
            case "merge", names:
                log.merge("verb", *names)
    built = labels(log, num_built)
    assert num_new_labels(log.ledger, num_built) == sum(built.get(part) != words for part, words in labels(log, len(log.entries)).items())
