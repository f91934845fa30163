"""EPIC's lists are kept, and of the log of the labelling page nothing is lost, whoever writes at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from tasks.data.clips import label_inputs
from tasks.data.clips.label_inputs import append_to_log, count_entries, keep_epic_lists, read_log, write_blocks
from tasks.store.objects import to_json
from tasks.store.records.labelling import LogEntry, Withdrawal
from tests.http_servers import served
from tests.pipeline.shelf import Shelf

VERBS, NOUNS = (f"s3://retake/pretrained/EPIC_{target}_classes.csv" for target in ("verb", "noun"))


@pytest.fixture
def published(tmp_path, monkeypatch):
    """A folder that a server has in place of EPIC's."""
    with served(tmp_path) as address:
        monkeypatch.setattr(label_inputs, "EPIC_ADDRESS", f"{address}/")
        yield tmp_path


def test_lists_are_kept_beside_the_weights_and_one_that_is_there_stays(published):
    (published / "EPIC_verb_classes.csv").write_text("verb_id,class_key,verbs\n0,take,\"['take', 'grab']\"\n")
    (published / "EPIC_noun_classes.csv").write_text("noun_id,class_key,nouns\n1,other,\"['other']\"\n")
    shelf = Shelf()
    shelf.write_bytes(NOUNS, b"noun_id,class_key,nouns\n1,pan,\"['pan']\"\n")
    keep_epic_lists(shelf, "s3://retake", allow_private=True)
    assert shelf.objects[VERBS] == (published / "EPIC_verb_classes.csv").read_bytes()
    assert b"pan" in shelf.objects[NOUNS]


def test_a_list_that_is_not_there_or_none_costs_a_warning(published, caplog):
    (published / "EPIC_verb_classes.csv").write_text("<html>Log in to this network</html>")
    shelf = Shelf()
    keep_epic_lists(shelf, "s3://retake", allow_private=True)
    assert not shelf.objects
    first, second = caplog.messages
    assert "is not a list of classes; or put EPIC_verb_classes.csv under pretrained/" in first
    assert "404" in second


STORE = "s3://retake"


@pytest.fixture
def store(monkeypatch):
    """An empty log of small blocks."""
    monkeypatch.setattr(label_inputs, "BLOCK_SIZE", 8)
    return Shelf()


def said(by, number):
    return Withdrawal(token=f"{by}-{number:06d}", by=by, at="2026-11-27T10:00:00.000Z", withdrawn="token-0000")


def tokens(entries):
    return [entry.statement.token for entry in entries]


def test_people_who_write_at_once_lose_nothing(store):
    people = ["anna", "ben", "cleo", "dora"]

    def write(by):
        known = 0
        for number in range(12):
            known += len(append_to_log(store, STORE, said(by, number), known))

    with ThreadPoolExecutor(len(people)) as pool:
        list(pool.map(write, people))
    written = tokens(read_log(store, STORE))
    assert len(written) == 48
    for by in people:
        assert [token for token in written if token.startswith(by)] == [f"{by}-{number:06d}" for number in range(12)]


@pytest.mark.parametrize("number", [0, 1, 7, 8, 9, 20])
def test_a_log_is_counted_and_read_in_parts_with_and_without_blocks(store, number):
    entries = []
    for i in range(number):
        entries += append_to_log(store, STORE, said("anna", i), i)
    for blocks in (0, write_blocks(store, STORE, entries)):
        assert blocks in (0, number // 8)
        assert count_entries(store, STORE) == number
        assert read_log(store, STORE) == entries
        for known in {0, 1, 7, 8, 13, number} & set(range(number + 1)):
            assert read_log(store, STORE, known) == entries[known:]


@pytest.mark.parametrize("damage", [b"", b"{}", to_json(LogEntry(statement=said("ben", 3))).replace(b"2026-11-27", b"yesterday ")])
def test_a_damaged_entry_is_named_and_costs_no_other(store, damage):
    entries = []
    for number in range(9):
        entries += append_to_log(store, STORE, said("anna", number), number)
    store.write_bytes(f"{STORE}/label_log/00000003.json", damage)
    store.write_bytes(f"{STORE}/label_log/blocks/000000.json", b"{}")
    read = read_log(store, STORE)
    assert [*read[:3], *read[4:]] == [*entries[:3], *entries[4:]]
    assert read[3].reason.startswith(f"{STORE}/label_log/00000003.json is not a LogEntry")
    store.remove(f"{STORE}/label_log/blocks/000000.json")
    write_blocks(store, STORE, read)
    assert not store.exists(f"{STORE}/label_log/blocks/000000.json"), "another version may read the entry"
