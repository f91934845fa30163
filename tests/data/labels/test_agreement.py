"""Which answers of two readers count as blind."""

import pytest

from tasks.data.labels.agreement import differing, read_twice
from tasks.data.labels.statements import Ledger
from tests.data.labels.test_statements import CLIPS, Writer


def pairs(*said: str, merged=()) -> list[tuple[str, str]]:
    """The blind answers of two readers; each of `said` is clip, person, reading and verb, and whether it is taken back."""
    log = Writer()
    for words in said:
        clip, by, reading, verb, *taken_back = words.split()
        token = log.clip(CLIPS[int(clip)], verb, "meat", by=by, answer="unsure" if verb == "unsure" else "action", reading=reading)
        if taken_back:
            log.withdraw(token, undo=True)
    for names in merged:
        log.merge("verb", *names)
    found = read_twice(Ledger.of(log.entries))
    return [(pair.first, pair.second) for pair in found]


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        pytest.param(
            ["0 anna first put", "0 ben second take", "1 anna first put", "1 ben first take", "2 anna first put", "2 anna second put"],
            [("put meat", "take meat")],
            id="only a second reading by another person counts",
        ),
        pytest.param(
            ["0 anna first tkae", "0 anna first take", "0 ben second tak", "0 ben second take"],
            [("take meat", "take meat")],
            id="an error that its reader mends while blind is none",
        ),
        pytest.param(
            ["0 anna first put", "0 ben second take", "0 anna first take", "0 ben first put"],
            [("put meat", "take meat")],
            id="what is said after the other answer could be seen does not count",
        ),
        pytest.param(
            ["0 anna first take", "0 anna first put back", "0 ben second put back", "0 ben second take"],
            [("take meat", "take meat")],
            id="an answer that was taken back counts for nothing",
        ),
        pytest.param(
            [
                "0 anna first put",
                "0 anna first unsure",
                "0 ben second take",
                "0 anna first take",
                "1 anna first put",
                "1 ben second unsure",
            ],
            [],
            id="whoever is unsure in the end has read nothing",
        ),
    ],
)
def test_which_answers_count(said, expected):
    assert pairs(*said) == expected


def test_names_that_were_merged_are_one_answer():
    assert pairs("0 anna first put", "0 ben second place", merged=[("place", "put")]) == [("put meat", "put meat")]


def test_clips_that_two_people_label_differently_are_listed():
    log = Writer()
    for clip, verb in zip(CLIPS, ("take", "put", "wash"), strict=True):
        log.clip(clip, "put", "meat")
        log.clip(clip, verb, "meat", by="ben", reading="second")
    assert [(one.uid, one.first, one.second) for one in differing(read_twice(Ledger.of(log.entries)))] == [
        ("aaaaaaaaaaaa_000000000-000008000", "put meat", "take meat"),
        ("aaaaaaaaaaaa_000016000-000024000", "put meat", "wash meat"),
    ]
