"""The log of the labelling page on a real S3 server: nothing is lost, whoever writes at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.media import label_log
from tasks.media.label_log import append, count_entries, read_log, write_blocks
from tasks.results.labelling import Withdrawal

pytestmark = [pytest.mark.integration, pytest.mark.timeout(200)]

STORE = "s3://retake-log"


@pytest.fixture
def store(workshop, request, monkeypatch):
    """A store with an empty log, and small blocks."""
    monkeypatch.setattr(label_log, "BLOCK_SIZE", 8)
    workshop.store.ensure_bucket(STORE)
    for listed in list(workshop.store.list(f"{STORE}/label_log/")):
        workshop.remove(listed.uri)
    return workshop.store


def said(by: str, number: int) -> Withdrawal:
    return Withdrawal(token=f"{by}-{number:06d}", by=by, at="2026-11-27T10:00:00.000Z", withdrawn="token-0000")


def tokens(entries) -> list[str]:
    return [entry.statement.token for entry in entries]


def test_people_who_write_at_once_lose_nothing(store):
    people = ["anna", "ben", "cleo", "dora"]

    def write(by: str) -> list[str]:
        known = 0
        for number in range(12):
            known += len(append(store, STORE, said(by, number), known))
        return tokens(read_log(store, STORE))

    with ThreadPoolExecutor(len(people)) as pool:
        list(pool.map(write, people))
    found = tokens(read_log(store, STORE))
    assert sorted(found) == sorted(f"{by}-{number:06d}" for by in people for number in range(12))
    for by in people:
        assert [token for token in found if token.startswith(by)] == [f"{by}-{number:06d}" for number in range(12)]


def test_a_statement_sent_again_is_written_once(store):
    append(store, STORE, said("anna", 0), 0)
    again = append(store, STORE, said("anna", 0), 0)
    assert tokens(again) == tokens(read_log(store, STORE)) == ["anna-000000"]


@pytest.mark.parametrize("number", [0, 1, 7, 8, 9, 20])
def test_a_log_is_counted_and_read_in_parts_with_and_without_blocks(store, number):
    entries = []
    for i in range(number):
        entries += append(store, STORE, said("anna", i), i)
    for blocks in (0, write_blocks(store, STORE, entries)):
        assert blocks in (0, number // 8)
        assert count_entries(store, STORE) == number
        assert read_log(store, STORE) == entries
        for known in {0, 1, 7, 8, 13, number} & set(range(number + 1)):
            assert read_log(store, STORE, known) == entries[known:]
