"""Labels from other tools, into a store and out of it again."""

import json
from pathlib import Path

import pytest

from tasks.data.clips.gather_labels import given_labels, intervals_to_export
from tasks.errors import BadConfiguration, BadInput, NothingToDo
from tasks.store.records.dataset import LabelsFile
from tasks.store.records.video import Inventory
from tests.pipeline.in_process import LABELS, STORE, Bench
from tests.pipeline.shelf import filmed

OVERLAPPING = """video,start_seconds,stop_seconds,verb,noun
long.mp4,3.6,11,take,bag
long.mp4,5,9,put,meat
long.mp4,12.2,12.88,whisk,batter
"""


def studio(video, start, end, label, **data):
    value = {"ranges": [{"start": start, "end": end}], "timelinelabels": [label]}
    return {"id": 1, "data": {"video": video, **data}, "annotations": [{"id": 1, "result": [{"value": value}]}]}


@pytest.fixture(scope="module")
def videos(tmp_path_factory, ffmpeg):
    """A video of 16 s with an export of Label Studio and other files beside it."""
    folder = tmp_path_factory.mktemp("videos")
    filmed(ffmpeg, folder / "long.mp4", seconds=16, picture="testsrc=s=160x120:r=25")
    (folder / "project-1.json").write_text(json.dumps([studio("/data/upload/1/abcd1234-long.mp4", 1, 192, "put meat")]))
    (folder / "package.json").write_text('{"name": "x"}')
    (folder / "README.txt").write_text("My videos.\n")
    return folder


@pytest.fixture(scope="module")
def taken(videos):
    bench = Bench()
    assert bench.ingest(videos).num_clips == 2
    bench.run("label")
    return bench.store


@pytest.fixture
def bench(taken, monkeypatch):
    """A store of its own, in which the videos were taken in and labelled."""
    monkeypatch.setattr("tasks.data.clips.intake.TICK_SECONDS", 0)  # each write to it is a second after the one before
    return Bench(taken.copy())


def actions(bench):
    return [clip.action for clip in bench.store.read(f"{LABELS}labels.json", LabelsFile).clips]


def imported(bench, *files, **options):
    return bench.run("labels import", files=list(files), **options).files


def exported(bench, out, name):
    return bench.run("labels export", format=name, out=out)


def test_files_beside_videos_are_told_apart_by_their_content(bench):
    assert actions(bench) == ["put meat", None]
    inventory = bench.store.read(f"{STORE}/ingests/test/inventory.json", Inventory)
    reasons = {file.name: file.reason for file in inventory.files}
    assert reasons["project-1.json"] is None
    assert reasons["package.json"].startswith("no annotation file: it is JSON of no known tool")
    assert reasons["README.txt"].startswith("no annotation file: it begins with 'My videos.', which is not a known header")


def test_what_an_older_version_set_aside_as_no_video_is_read_again(videos):
    bench = Bench()
    place = f"{STORE}/inbox/project-1.json"
    bench.store.write_file(place, videos / "project-1.json")
    seen = {"name": "project-1.json", "etag": bench.store.stat(place).etag, "size_bytes": 1, "video": None, "reason": "no video"}
    bench.store.write(f"{STORE}/ingests/test/inventory.json", Inventory.model_validate({"files": [seen]}))
    with pytest.raises(NothingToDo, match="annotation files wait for videos"):
        bench.take()
    assert next(bench.store.list(f"{STORE}/annotations/")).name.startswith("project-1-")


def test_an_import_says_how_each_file_is_read(bench, tmp_path, caplog):
    caplog.set_level("INFO", "retake")
    good, other, bad = tmp_path / "more.json", tmp_path / "events.tsv", tmp_path / "bad.xml"
    tasks = [studio("long.mp4", 201, 400, "Take bag"), studio("gone\ud83d.mp4", 1, 2, "put meat"), studio("long.mp4", 9, 2, "put meat")]
    good.write_text(json.dumps(tasks))
    other.write_text("Behavior\tStart (s)\tStop (s)\tMedia file\nwave\t100\t101\tlong.mp4\n")
    bad.write_text("<!DOCTYPE x><annotations/>")
    with pytest.raises(BadConfiguration, match=r"events\.tsv is no JSON of Label Studio"):
        imported(bench, good, other, bad, frame_rate=25)
    first, second, third = imported(bench, good, other, bad)
    assert (first.layout, first.num_labels, first.num_without_video, first.num_refused) == ("Label Studio JSON", 1, 1, 1)
    assert first.first_without_video == ("gone\ufffd.mp4",)
    assert first.first_refused[0].item == "task 1, result 1"
    assert (second.layout, second.num_labels, second.num_refused) == ("BORIS", 0, 1)
    assert "begins at 100 s" in second.first_refused[0].reason
    assert (third.layout, third.uri) == ("", None)
    for told in (
        "more.json: read as Label Studio JSON: 1 label",
        "more.json: no frame rate for 2 labels: 24 assumed; `labels import --frame-rate` states another",
        "no video in the store for 1 label: 'gone\ufffd.mp4'",
        "bad.xml: not taken in: has a document type",
    ):
        assert told in caplog.text


def test_the_frame_rate_of_a_project_is_kept_with_its_labels(bench, tmp_path):
    file = tmp_path / "at25.json"
    file.write_text(json.dumps([studio("long.mp4", 201, 400, "take bag")]))
    (kept,) = imported(bench, file, frame_rate=25)
    assert json.loads(bench.store.read_bytes(kept.uri))[0]["data"]["fps"] == 25
    bench.run("label")
    assert actions(bench) == ["put meat", "take bag"]


def test_files_that_cannot_be_read_at_all_are_bad_input(bench, tmp_path):
    (tmp_path / "x.json").write_text("{")
    long = f"{'long' * 61}.csv"
    (tmp_path / long).write_text("uid,verb,noun\nlong.mp4,put,meat\n")
    for name, reason in (("x.json", "is not JSON"), ("none.json", "No such file"), (long, "^'longlong.*rename the file")):
        with pytest.raises(BadInput, match=reason):
            imported(bench, tmp_path / name)
    for files, reason in (((), "name one or more"), ((Path("~nobody-of-this-name/x"),), "there is no such user")):
        with pytest.raises(BadConfiguration, match=reason):
            imported(bench, *files)


def spans(store):
    """The intervals that lie in the video of 16 s."""
    intervals = intervals_to_export(store, STORE, given_labels(store, STORE))
    (video,) = intervals.by_video
    told = sorted((round(span.start_seconds, 6), round(span.stop_seconds, 6), span.text) for span in intervals.spans(video))
    return [span for span in told if span[0] < 16]


@pytest.mark.parametrize("name", ["label-studio", "epic", "activitynet", "csv"])
def test_an_export_brings_the_same_intervals_and_labels_to_another_store(bench, tmp_path, name):
    (tmp_path / "intervals.csv").write_text(OVERLAPPING)
    imported(bench, tmp_path / "intervals.csv")
    before = spans(bench.store)
    assert {(3.6, 11, "take bag"), (5, 9, "put meat"), (12.2, 12.88, "whisk batter")} <= set(before)
    out = tmp_path / "export"
    assert exported(bench, out, name).num_labels == len(before)
    assert not list(bench.store.list(f"{STORE}/classes/")), "a word gets its id when the store is labelled"
    bench.run("label")
    other = Bench()
    for uri in bench.store.objects:
        if "/videos/" in uri or "/clips/" in uri:
            other.store.write_bytes(uri, bench.store.objects[uri])
    imported(other, out)
    other.run("label")
    assert spans(other.store) == before
    assert actions(other) == actions(bench)


def test_without_labels_there_is_nothing_to_export(tmp_path):
    with pytest.raises(NothingToDo, match="no labels have been gathered"):
        exported(Bench(), tmp_path / "x", "csv")
