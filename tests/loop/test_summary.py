"""The summary in the store: what reading costs, what writing never does, and which dataset a name means."""

from unittest.mock import Mock

import pytest

from tasks.errors import BadInput, Unavailable
from tasks.loop.summary import count_statements, find_manifest, keep, main_model, model_names, read_status
from tasks.store.layout import Layout
from tasks.store.records.dataset import DatasetResult
from tasks.store.records.status import FilmsStatus, PredictionsStatus, PredictionStatus, TrainingStatus
from tests.loop.statuses import MODEL, STORE, fill, model_status, status
from tests.pipeline.shelf import Shelf, manifest_of
from tests.records import some

PLACE = Layout(STORE).status
OF_MODEL = PLACE.of_model(MODEL)


def test_reading_costs_seven_reads_and_no_listing_in_a_store_of_20_000_clips():
    store = Shelf()
    store.objects |= {f"{STORE}/clips/{video:064x}/r/{clip:04d}.mp4": b"" for video in range(250) for clip in range(80)}
    state = fill(store)
    store.read_bytes, store.list, store.folders = (Mock(wraps=call) for call in (store.read_bytes, store.list, store.folders))
    assert read_status(store, STORE, MODEL) == state
    assert (store.read_bytes.call_count, store.list.call_count, store.folders.call_count) == (7, 0, 0)
    assert model_names(store, STORE) == (MODEL,)
    store.folders.assert_called_once_with(f"{STORE}/status/models/")
    assert (store.read_bytes.call_count, store.list.call_count) == (7, 0)


def test_new_statements_of_the_page_are_counted():
    store = Shelf()
    state = fill(store)
    log = Layout(STORE).label_log
    for number in range(100):
        store.write_bytes(log.entry(number).uri, b"")
    assert count_statements(store, state) == 100
    for number in range(100, 123):
        store.write_bytes(log.entry(number).uri, b"")
    assert count_statements(store, state) == count_statements(store, state.model_copy(update={"labels": None})) == 123


def test_a_part_that_is_missing_or_of_another_version_is_none():
    store = Shelf()
    fill(store)
    store.write_bytes(PLACE.films.uri, b'{"later": 1}')
    store.remove(OF_MODEL.training.uri)
    state = read_status(store, STORE, MODEL)
    assert (state.films, state.training) == (None, None)
    assert state.model
    keep(store, PLACE.films, lambda earlier: status().films if earlier is None else None)
    assert read_status(store, STORE, MODEL).films == status().films


def test_a_part_that_differs_in_its_time_alone_is_left_as_it_is():
    store = Shelf()
    fill(store)
    before = dict(store.objects)
    keep(store, PLACE.films, lambda earlier: earlier.model_copy(update={"at": "later"}))
    keep(store, PLACE.labels, lambda _: None)
    assert store.objects == before
    keep(store, PLACE.films, lambda earlier: earlier.model_copy(update={"at": "later", "num_new": 9}))
    assert store.read(PLACE.films).at == "later"


def test_of_two_steps_at_once_the_last_adds_to_what_the_other_wrote():
    store = Shelf()

    def add(name, meanwhile=None):
        def make(earlier):
            if meanwhile and not earlier:
                add(meanwhile)
            before = earlier.predictions if earlier else ()
            return PredictionsStatus(predictions=(some(PredictionStatus, prediction_uri=name), *before))

        keep(store, PLACE.predictions, make)

    add("a", meanwhile="b")
    assert [known.prediction_uri for known in store.read(PLACE.predictions).predictions] == ["a", "b"]


@pytest.mark.parametrize("error", [Unavailable("away"), KeyError("a bug")])
def test_a_summary_that_cannot_be_made_or_written_fails_nothing(error, monkeypatch, caplog):
    def fail(*_):
        raise error

    store = Shelf()
    keep(store, PLACE.films, fail)
    monkeypatch.setattr(store, "replace_bytes", fail)
    keep(store, PLACE.films, lambda _: some(FilmsStatus))
    assert not store.objects
    assert caplog.text.count(f"the summary keeps its earlier {PLACE.films.uri}") == 2


def test_a_dataset_is_named_by_its_digest_its_first_digits_or_as_the_latest():
    store = Shelf()
    for digest in ("0123456789abcdef", "01ffffffffffffff"):
        store.write(Layout(STORE).dataset(digest).manifest, manifest_of(()))
    with pytest.raises(BadInput, match="no dataset latest"):
        find_manifest(store, STORE, "latest")
    store.write(Layout(STORE).latest_dataset, some(DatasetResult, digest="01ffffffffffffff"))
    assert find_manifest(store, STORE, "latest")[0] == "01ffffffffffffff"
    assert find_manifest(store, STORE, "012")[0] == find_manifest(store, STORE, "0123456789abcdef")[0] == "0123456789abcdef"
    with pytest.raises(BadInput, match="more than one dataset 01; these begin so: 0123456789abcdef, 01ffffffffffffff"):
        find_manifest(store, STORE, "01")
    with pytest.raises(BadInput, match=r"no dataset 7; .*python -m tasks status"):
        find_manifest(store, STORE, "7")
    store.remove(Layout(STORE).dataset("0123456789abcdef").manifest.uri)
    store.write_bytes(Layout(STORE).dataset("0123456789abcdef").table("train"), b"")
    with pytest.raises(BadInput, match="has no manifest"):
        find_manifest(store, STORE, "012")
    with pytest.raises(BadInput, match="has no dataset"):
        find_manifest(store, STORE, "")


def test_the_main_model_is_the_one_of_the_default_name_else_the_one_decided_on_last():
    store = Shelf()
    assert main_model(store, STORE) == ""
    for name, at in (("a", "2026-11-01"), ("b", "2026-11-03"), ("c", "2026-11-02")):
        store.write(PLACE.of_model(name).model, model_status(at=at, model_name=name))
    store.write(PLACE.of_model("d").training, some(TrainingStatus))
    assert main_model(store, STORE) == "b"
    store.write(OF_MODEL.training, some(TrainingStatus))
    assert main_model(store, STORE) == MODEL
