"""The summary in the store: what reading costs, what writing never does, which dataset a name means, and the text for a shell."""

from unittest.mock import Mock

import pytest
from hypothesis import given, settings

from tasks.errors import BadInput, Unavailable
from tasks.loop.next_steps import Live, next_steps, sentence
from tasks.loop.summary import INDENT, WIDTH, find_manifest, keep, lines_of, main_model, model_names, read_status
from tasks.store.layout import Layout
from tasks.store.records.dataset import DatasetResult
from tasks.store.records.status import (
    AdvisedStep,
    LoopStatus,
    PredictionsStatus,
    PredictionStatus,
    SpaceStatus,
    SpaceUse,
    StatusResult,
    TrainingStatus,
    VideosStatus,
)
from tests.loop.statuses import MODEL, NOW, STORE, any_status, fill, model_status, status
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
    keep(store, PLACE.films, lambda _: some(VideosStatus))
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


def result_of(state):
    steps = tuple(AdvisedStep(text=step.text, url=step.url) for step in next_steps(state, Live(now=NOW), str))
    return StatusResult(sentence=sentence(state, NOW), next_steps=steps, status=state)


def uses(size_bytes):
    cache = SpaceUse(name="cache of this machine", num_objects=1, size_bytes=10 * size_bytes, is_cache=True)
    return SpaceUse(name="clips", num_objects=1, size_bytes=size_bytes), cache


@settings(max_examples=50)
@given(any_status)
def test_every_line_but_an_address_fits_a_terminal(state):
    result = result_of(state)
    addresses = {f"   {step.url}" for step in result.next_steps}
    assert [line for line in lines_of(result) if len(line) > WIDTH and line not in addresses] == []


def test_the_boxes_name_the_numbers():
    space = SpaceStatus(at=NOW, before=uses(95), after=uses(5), is_dry_run=True)
    told = " ".join(" ".join(lines_of(result_of(status(space=space)))).split())
    for wanted in (
        "Videos 12 videos; 300 clips in the latest ingest; 2 new at 2026-11-29 20:41",
        "3 files set aside: a.mp4: broken",
        "Labels 40 of 300 clips (13.3 %); 1 rejected line",
        "40 by person ada",
        "No second reader yet",
        "train 20 clips of 3 source videos, val 15 clips of 3 source videos, test 5 clips of 3 source videos",
        "since d1: 1 video and 1 clip more",
        "before: d1 (2026-11-30 21:00)",
        "light; 20 clips of dataset d2; about 4 min 00 s",
        "v2 provisional at 2026-11-30 20:41: names 40 % of actions [11, 75] on 15 clips",
        "worst: put meat (1 of 5 right)",
        "25.0 % unsure",
        "Space 95 bytes in the store at 2026-11-30 21:00; clean_up would delete 90 bytes",
    ):
        assert wanted in told


@pytest.mark.parametrize(("is_dry_run", "store_bytes"), [(True, 95), (False, 5)])
def test_the_size_of_the_store_is_without_the_cache_and_in_a_dry_run_that_before(is_dry_run, store_bytes):
    space = SpaceStatus(at=NOW, before=uses(95), after=uses(5), is_dry_run=is_dry_run)
    assert (space.store_bytes, space.freed_bytes) == (store_bytes, 90)


def test_a_part_without_a_summary_says_when_it_appears():
    lines = list(lines_of(result_of(LoopStatus(store="s3://retake", model_name="m"))))
    assert f"{'Videos':<{INDENT}}appears with the next run of the step summarise" in lines
