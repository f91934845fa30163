"""Sources that keep being filled: buckets, in place or copied, and folders of recorders."""

import json
import os
import time

import pytest

from tasks.data.clips.label_inputs import inputs_digest
from tasks.data.clips.sources import QUIET_SECONDS
from tasks.errors import BadConfiguration, BadInput, MissingObject, NothingToDo, Unavailable
from tasks.store.records.video import Inventory, VideoRecord
from tests.pipeline.in_process import RECIPE, STORE
from tests.pipeline.ingest_videos.conftest import free, told_nothing
from tests.pipeline.shelf import Killed

FILMS = "s3+nas://films/"
SOURCE, NEW = f"{FILMS}cam*/**.mp4", f"{FILMS}new/"


def records(store):
    return {uri: store.read(uri, VideoRecord) for uri in sorted(store.objects) if uri.endswith("/probe.json")}


def only_record(store):
    (record,) = records(store).values()
    return record


@pytest.fixture(autouse=True)
def connect(monkeypatch, one_clip):
    def connect(*, in_place=False):
        server = {"endpoint": "nas:9000", "access_key": "a", "secret_key": "tell-no-one", "in_place": in_place}
        monkeypatch.setenv("RETAKE_S3_CONNECTIONS", json.dumps({"nas": server}))

    connect()
    return connect


@pytest.fixture
def watch(monkeypatch):
    """Let an ingest without sources take these, too."""
    return lambda *sources: monkeypatch.setenv("RETAKE_SOURCES", json.dumps({f"{STORE}/": [str(source) for source in sources]}))


def quiet(path, seconds=3600.0):
    """Let nobody have written to a file for so long."""
    os.utime(path, (time.time() - seconds,) * 2)


def test_only_new_objects_of_a_bucket_are_fetched_whatever_the_options(bench, store, video):
    store.objects |= {f"{FILMS}cam1/put meat/a.mp4": video, f"{FILMS}cam2/b.mp4": video + free(1), f"{FILMS}other/c.mp4": video}
    assert bench.take(SOURCE).num_videos == 2
    assert sorted(store.fetched_now()) == [f"{FILMS}cam1/put meat/a.mp4", f"{FILMS}cam2/b.mp4"]
    assert {record.names: store.objects[record.uri] for record in records(store).values()} == {
        ("cam1/put meat/a.mp4",): video,
        ("cam2/b.mp4",): video + free(1),
    }
    store.objects |= {f"{FILMS}cam2/b.mp4": video + free(2)}
    bench.run("ingest", sources=[SOURCE], out=f"{STORE}/ingests/other/", max_video_minutes=5)
    assert store.fetched_now() == [f"{FILMS}cam2/b.mp4"]
    assert "tell-no-one" not in repr(store.objects)
    copies = [uri for uri in store.objects if "/source." in uri]
    for uri in copies:
        store.remove(uri)
    bench.take(SOURCE)
    assert len([uri for uri in copies if uri in store.objects]) == 2


def test_a_video_in_place_is_not_copied_and_cut_from_there(bench, store, video, connect):
    connect(in_place=True)
    store.objects[f"{FILMS}cam1/a.mp4"] = video
    assert bench.ingest(SOURCE).num_clips == 1
    assert only_record(store).uri == f"{FILMS}cam1/a.mp4"
    (copy,) = (uri for uri, data in store.objects.items() if data == video and uri.startswith(STORE))
    assert copy.endswith("/0000.mp4"), "the clip, which is the whole video"


@pytest.mark.parametrize("happens", ["went", "changed", BadConfiguration, Unavailable])
def test_a_video_in_place_that_went_or_changed_or_whose_server_is_off_is_named_and_comes_back(bench, store, video, connect, happens):
    connect(in_place=True)
    first, moved = f"{FILMS}cam1/a.mp4", f"{FILMS}cam2/moved.mp4"
    store.objects[first] = video
    (batch,) = bench.take(SOURCE).batches
    if happens == "went":
        store.remove(first)
    elif happens == "changed":
        store.objects[first] = video + free(1)
    else:
        store.fails = happens(f"no server for {first}")
    (aside,) = bench.run("segment", batch=batch.uri).set_aside
    assert aside.name == "cam1/a.mp4"
    assert first in aside.reason
    assert ("another content than when it was taken in" in aside.reason) == (happens == "changed")

    store.fails = None
    store.objects |= {first: video + free(2), moved: video}
    taken = bench.ingest(SOURCE)
    assert (taken.num_clips, taken.num_set_aside) == (2, 0)
    assert {record.uri for record in records(store).values()} == {first, moved}


@pytest.mark.parametrize(("happens", "is_tried"), [(BadConfiguration, True), (Unavailable, True), (MissingObject, False)])
def test_an_hourly_run_cuts_a_video_in_place_whose_server_was_off_and_waits_for_none_that_went(
    bench, store, video, watch, connect, happens, is_tried
):
    connect(in_place=True)
    watch(SOURCE)
    store.objects[f"{STORE}/inbox/put meat/a.mp4"] = video
    bench.ingest()
    store.objects[f"{FILMS}cam1/b.mp4"] = video + free(1)
    batches = bench.take().batches
    store.fails = happens("no server")
    for batch in batches:
        bench.run("segment", batch=batch.uri)
    bench.run("label")
    store.fails = None
    if is_tried:
        assert bench.ingest().num_clips == 2
        bench.run("label")
    assert "no new video" in told_nothing(bench)


@pytest.mark.parametrize(("folder", "happens"), [(NEW, "went"), (f"{STORE}/inbox/", "went"), (NEW, "replaced"), (NEW, "off")])
def test_a_video_in_place_that_moved_is_known_where_it_is_and_a_second_copy_is_not_fetched_again(
    bench, store, video, connect, folder, happens
):
    connect(in_place=True)
    now_at = f"{folder}a.mp4"
    store.objects |= {f"{FILMS}old/a.mp4": video, now_at: video}
    bench.take(f"{FILMS}old/**")
    store.fetched_now()
    sources = [f"{NEW}**"] if folder == NEW else []
    bench.take(*sources)
    assert not store.fetched_now()
    if happens == "went":
        store.remove(f"{FILMS}old/a.mp4")
    elif happens == "replaced":
        store.objects[f"{FILMS}old/a.mp4"] = video + free(1)
    else:
        store.off = f"{FILMS}old/"
    bench.take(*sources)
    uri = only_record(store).uri
    assert uri == now_at or (not sources and uri.startswith(f"{STORE}/videos/"))


def test_a_connection_that_copies_from_now_on_copies_what_was_in_place_when_it_is_taken_again(bench, store, video, connect):
    connect(in_place=True)
    store.objects[f"{FILMS}cam1/a.mp4"] = video
    bench.take(SOURCE)
    connect()
    store.objects[f"{FILMS}cam1/b.mp4"] = video
    bench.take(SOURCE)
    assert only_record(store).uri.startswith(f"{STORE}/videos/")
    assert store.objects[only_record(store).uri] == video


def test_by_hand_a_source_that_means_nothing_is_named_and_keeps_no_other_waiting(bench, store, video, caplog):
    with pytest.raises(BadInput, match=r"no file in s3\+nas://films/cam9/\*\*"):
        bench.take(f"{FILMS}cam9/**")
    with pytest.raises(BadInput, match=r"s3\+nas://film/\*\*: there is no such bucket"):
        bench.take("s3+nas://film/**")
    store.objects[f"{FILMS}cam1/a.mp4"] = video
    assert bench.take(SOURCE, f"{FILMS}cam9/**").num_videos == 1
    assert f"no file in {FILMS}cam9/**" in caplog.text


def test_an_hourly_run_takes_the_inbox_and_the_standing_sources_of_its_store_and_is_quiet_when_they_do_not_change(
    bench, store, video, watch, tmp_path
):
    store.objects |= {f"{STORE}/inbox/put meat/a.mp4": video, f"{FILMS}cam1/put bag/b.mp4": video + free(1)}
    (tmp_path / "c.mp4").write_bytes(video + free(2))
    (tmp_path / "damaged.mp4").write_bytes(b"no video")
    for path in tmp_path.iterdir():
        quiet(path)
    watch(SOURCE, tmp_path, f"{FILMS}empty/**")
    assert bench.ingest().num_videos == 3
    bench.run("label")
    store.fetched_now()
    before = dict(store.objects)
    assert "no new video" in told_nothing(bench)
    assert (store.fetched_now(), store.objects) == ([], before)

    store.objects[f"{FILMS}cam2/d.mp4"] = video + free(3)
    assert bench.ingest().num_videos == 4
    assert f"{STORE}/inbox/put meat/a.mp4" not in store.fetched_now()

    store.refused = f"{FILMS}cam2/cold.mp4"
    store.objects[store.refused] = video
    assert [bad.name for bad in bench.ingest().first_set_aside] == ["cam2/cold.mp4", "damaged.mp4"]
    bench.run("label")
    assert "no new video" in told_nothing(bench)
    store.fails = BadConfiguration("the keys are refused")
    assert "the keys are refused" in [bad.reason for bad in bench.ingest().first_set_aside]


def test_a_standing_source_that_cannot_be_listed_is_set_aside_keeps_no_other_waiting_and_is_not_fetched_again(bench, store, video, watch):
    store.objects |= {f"{STORE}/inbox/a.mp4": video, f"{FILMS}cam1/b.mp4": video + free(1), f"{FILMS}cam1/damaged.mp4": b"no video"}
    store.objects |= {f"{STORE}/inbox/bad.mp4": b"no video", f"{STORE}/inbox/labels.csv": b"video,fully_labelled\nb.mp4,yes\n"}
    broken = {
        "/nowhere/x": "does not exist",
        "s3+nas://gone/**": "no such bucket",
        "frigate+http://127.0.0.1:9/front/2026-05-01": "does not answer",
        "frigate+http://me:geheim@127.0.0.1:9/front/2026-05-01": "names no footage",
        "https://example.org/a.mp4": "each hourly run would fetch again",
        "web:https://www.youtube.com/@kitchen": "each hourly run would fetch again",
    }
    watch(*broken, SOURCE)
    result = bench.take()
    assert result.num_videos == 2
    _, _, *aside = result.first_set_aside
    assert [bad.name for bad in aside] == [name.replace("me:geheim@", "") for name in broken]
    assert all(told in bad.reason for bad, told in zip(aside, broken.values(), strict=True))

    store.fetched_now()
    before = inputs_digest(store, STORE, RECIPE)
    watch(SOURCE)
    for store.off, num_videos, not_listed in [(FILMS, 1, [SOURCE]), ("nothing", 2, [])]:
        result = bench.take()
        assert result.num_videos == num_videos
        assert sorted(bad.name for bad in result.first_set_aside) == ["bad.mp4", "cam1/damaged.mp4", *not_listed]
        assert inputs_digest(store, STORE, RECIPE) == before, "which files came together is an input of labelling"
    assert store.fetched_now() == [f"{STORE}/inbox/labels.csv"] * 2


def test_an_hourly_run_is_tried_again_if_the_store_itself_is_away(bench, store, watch):
    store.off = "s3://films/"
    watch("s3://films/**")
    with pytest.raises(Unavailable):
        bench.take()


def test_sources_of_another_store_are_not_taken(bench, store, video, monkeypatch):
    monkeypatch.setenv("RETAKE_SOURCES", json.dumps({"s3://another": [SOURCE]}))
    store.objects[f"{FILMS}cam1/a.mp4"] = video
    assert "the inbox is empty" in told_nothing(bench)


def test_an_hourly_run_waits_until_a_recorder_has_been_quiet_for_a_minute(bench, store, video, watch, tmp_path):
    watch(tmp_path)
    recording = tmp_path / "a.mp4"
    recording.write_bytes(video[:-100])
    assert "the inbox is empty" in told_nothing(bench)
    quiet(recording, seconds=-7200)  # the recorder's clock is ahead
    with pytest.raises(NothingToDo, match=r"a\.mp4: "):
        bench.take()
    recording.write_bytes(video)
    assert "the inbox is empty" in told_nothing(bench)
    quiet(recording, seconds=QUIET_SECONDS + 1)
    assert bench.take().num_videos == 1


def test_by_hand_a_half_written_file_is_set_aside_and_taken_when_it_is_whole(bench, store, video, tmp_path):
    (tmp_path / "a.mp4").write_bytes(video)
    (tmp_path / "b.mp4").write_bytes(video[: len(video) // 2])
    assert [bad.name for bad in bench.take(tmp_path).first_set_aside] == ["b.mp4"]
    (tmp_path / "b.mp4").write_bytes(video + free(1))
    assert bench.take(tmp_path).first_set_aside == ()
    assert len(records(store)) == 2


def test_an_ingest_that_is_stopped_does_not_fetch_again_what_it_had(bench, store, video, monkeypatch):
    monkeypatch.setattr("tasks.pipeline.ingest_videos.ingest.SAVE_SECONDS", 0)
    monkeypatch.setattr("tasks.pipeline.ingest_videos.ingest.NUM_WAITING", 1)
    store.objects |= {f"{FILMS}cam1/{number}.mp4": video + free(number) for number in range(3)}
    store.objects[f"{FILMS}cam1/0-damaged.mp4"] = b"no video"
    store.deadly = last = f"{FILMS}cam1/2.mp4"
    with pytest.raises(Killed):
        bench.take(SOURCE)
    assert not store.read(f"{STORE}/ingests/test/inventory.json", Inventory).set_aside, "a later run would keep silent about it"
    store.deadly = None
    store.fetched_now()
    assert bench.take(SOURCE).num_videos == 3
    assert store.fetched_now() == [f"{FILMS}cam1/0-damaged.mp4", last]
    inventory = store.read(f"{STORE}/ingests/test/inventory.json", Inventory)
    assert [file.name for file in inventory.files] == ["cam1/0-damaged.mp4", *(f"cam1/{number}.mp4" for number in range(3))]
