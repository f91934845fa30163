"""Which answers of two readers count as blind."""

from tasks.dataset.agreement import read_twice
from tasks.dataset.statements import Ledger
from tests.dataset.test_statements import CLIPS, Writer


def read(log: Writer, clip, by: str, verb: str, reading: str, answer: str = "action") -> str:
    token = log.clip(clip, verb, "meat", by=by, answer=answer)
    last = log.entries[-1].statement
    log.entries[-1] = log.entries[-1].model_copy(update={"statement": last.model_copy(update={"reading": reading})})
    return token


def pairs(log: Writer) -> list[tuple[str, str]]:
    return [(pair.first, pair.second) for pair in read_twice(Ledger.of(log.entries))]


def test_only_a_second_reading_by_another_person_counts():
    log = Writer()
    read(log, CLIPS[0], "anna", "put", "first")
    read(log, CLIPS[0], "ben", "take", "second")
    read(log, CLIPS[1], "anna", "put", "first")
    read(log, CLIPS[1], "ben", "take", "first")
    read(log, CLIPS[2], "anna", "put", "first")
    read(log, CLIPS[2], "anna", "put", "second")
    assert pairs(log) == [("put meat", "take meat")]


def test_an_error_that_its_reader_mends_while_blind_is_none():
    log = Writer()
    read(log, CLIPS[0], "anna", "tkae", "first")
    read(log, CLIPS[0], "anna", "take", "first")
    read(log, CLIPS[0], "ben", "tak", "second")
    read(log, CLIPS[0], "ben", "take", "second")
    assert pairs(log) == [("take meat", "take meat")]


def test_what_a_reader_says_after_the_other_answer_could_be_seen_does_not_count():
    log = Writer()
    read(log, CLIPS[0], "anna", "put", "first")
    read(log, CLIPS[0], "ben", "take", "second")
    read(log, CLIPS[0], "anna", "take", "first")
    read(log, CLIPS[0], "ben", "put", "first")
    assert pairs(log) == [("put meat", "take meat")]


def test_an_answer_that_was_taken_back_counts_for_nothing():
    log = Writer()
    read(log, CLIPS[0], "anna", "take", "first")
    log.withdraw(read(log, CLIPS[0], "anna", "put", "first"), undo=True)
    log.withdraw(read(log, CLIPS[0], "ben", "put", "second"), undo=True)
    read(log, CLIPS[0], "ben", "take", "second")
    assert pairs(log) == [("take meat", "take meat")]


def test_whoever_is_unsure_in_the_end_has_read_nothing():
    log = Writer()
    read(log, CLIPS[0], "anna", "put", "first")
    read(log, CLIPS[0], "anna", "", "first", answer="unsure")
    read(log, CLIPS[0], "ben", "take", "second")
    read(log, CLIPS[0], "anna", "take", "first")
    read(log, CLIPS[1], "anna", "put", "first")
    read(log, CLIPS[1], "ben", "", "second", answer="unsure")
    assert pairs(log) == []


def test_names_that_were_merged_are_one_answer():
    log = Writer()
    read(log, CLIPS[0], "anna", "put", "first")
    read(log, CLIPS[0], "ben", "place", "second")
    log.merge("verb", "place", "put")
    assert pairs(log) == [("put meat", "put meat")]
