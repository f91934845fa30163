"""Ingests that meet bad files, addresses and annotation files: each costs itself, and the hourly run stays quiet where it can."""

import json

import pytest

from tasks.data.clips.gather_labels import given_labels, intervals_to_export
from tasks.data.clips.label_inputs import inputs_digest
from tasks.keys import file_sha256
from tasks.store.records.dataset import LabelsFile
from tasks.store.records.video import NUM_FIRST, IngestResult, SetAsideFile
from tests.pipeline.in_process import RECIPE, STORE, Bench
from tests.pipeline.ingest_videos.conftest import Watched, free, told_nothing

HEADER = "uid,verb,noun,action,verb_class,noun_class\n"
UNCHANGED = "no new video and no new annotation since labels were last gathered"


def take(bench, folder):
    """Ingest a folder by a run of its own, and cut its videos."""
    for batch in bench.run("ingest", sources=[str(folder)], out=f"{STORE}/ingests/{folder.name}/").batches:
        bench.run("segment", batch=batch.uri)


def kept(store):
    """The annotation files, in order of upload."""
    return [file.name for file in sorted(store.list(f"{STORE}/annotations/"), key=lambda file: file.modified)]


def labelled(bench):
    bench.run("label")
    return bench.store.read(f"{bench.labels}labels.json", LabelsFile)


def test_an_inbox_of_bad_files_alone_says_so_and_is_not_downloaded_twice(bench, store):
    assert told_nothing(bench) == f"the inbox is empty; put videos under {STORE}/inbox/, or name sources in the form"
    store.put("inbox/notes.mp4", b"no video")
    first = told_nothing(bench)
    assert told_nothing(bench) == first
    assert "notes.mp4: " in first
    assert "empty" not in first
    assert store.fetched == [f"{STORE}/inbox/notes.mp4"]


def test_the_first_ingest_makes_the_bucket(bench, store, video, tmp_path):
    store.buckets_made.clear()
    (tmp_path / "a.mp4").write_bytes(video)
    assert bench.take(tmp_path).num_videos == 1


def test_annotation_files_wait_for_videos(bench, store):
    store.put("annotations/labels.csv", HEADER.encode())
    assert "annotation files wait for videos" in told_nothing(bench)


@pytest.mark.slow
def test_a_new_bad_file_reaches_the_summary_once_and_an_unchanged_inbox_writes_nothing(bench, store, video):
    store.put("inbox/put meat/a.mp4", video)
    bench.ingest()
    bench.run("label")
    assert told_nothing(bench) == UNCHANGED
    before = list(store.list(STORE))
    assert told_nothing(bench) == UNCHANGED
    assert list(store.list(STORE)) == before

    store.put("inbox/notes.mp4", b"no video")
    summary = bench.ingest()
    assert (summary.num_set_aside, summary.num_videos, summary.num_clips) == (1, 1, 1)
    assert [bad.name for bad in summary.first_set_aside] == ["notes.mp4"]
    store.fetched_now()
    assert told_nothing(bench) == UNCHANGED
    assert store.fetched == []


@pytest.mark.slow
def test_a_store_that_was_written_before_clips_knew_their_ffmpeg_is_neither_cut_nor_labelled_again(bench, store, video):
    store.put("inbox/put meat/a.mp4", video)
    bench.ingest()
    (recipe,) = {stored.uri.split("/")[-2] for stored in store.list(f"{STORE}/clips/")}
    assert recipe != RECIPE
    older = Watched()
    for uri, data in store.objects.items():
        if "/ingests/" in uri:
            continue
        if uri.endswith("/clips.json"):
            clips = json.loads(data)
            assert clips.pop("ffmpeg")
            data = json.dumps(clips).encode()
        if uri.endswith(".json"):
            data = data.replace(recipe.encode(), RECIPE.encode())
        older.write_bytes(uri.replace(recipe, RECIPE), data)
    before = list(older.list(f"{STORE}/clips/"))
    bench = Bench(older)
    assert bench.ingest().num_clips == 1
    labelled = bench.run("label")
    assert (labelled.num_clips, labelled.num_labelled) == (1, 1)
    assert told_nothing(bench) == UNCHANGED
    assert list(older.list(f"{STORE}/clips/")) == before


@pytest.mark.usefixtures("one_clip")
def test_bad_files_and_addresses_cost_themselves_and_a_result_names_the_first_and_a_file_beside_it_all(bench, store, video, tmp_path):
    (tmp_path / "a.mp4").write_bytes(video)
    (tmp_path / "labels.csv").write_text(f"{HEADER}a,put,meat,put meat,,\n")
    bad = [f"bad{number:02}.mp4" for number in range(NUM_FIRST + 5)]
    for name in bad:
        (tmp_path / name).symlink_to("/etc/passwd")
    summary = bench.ingest(tmp_path, "http://[::1/none.mp4")
    taken = store.read(f"{STORE}/ingests/test/result.json", IngestResult)
    assert (taken.num_files, taken.num_videos, taken.num_annotations, taken.num_unusable) == (len(bad) + 2, 1, 1, len(bad) + 1)
    for result in (taken, summary):
        assert (result.num_set_aside, len(result.first_set_aside)) == (len(bad) + 1, NUM_FIRST)
    assert [told.name for told in store.read(summary.set_aside_uri, SetAsideFile).set_aside] == [*bad, "http://[::1/none.mp4"]


def test_a_csv_that_is_changed_back_is_the_latest_again(bench, store, video, tmp_path):
    (tmp_path / "a.mp4").write_bytes(video)
    latest = []
    for verb in ("put", "take", "put"):
        (tmp_path / "labels.csv").write_text(HEADER + f"a,{verb},meat,{verb} meat,,\n")
        bench.take(tmp_path)
        latest.append(kept(store)[-1])
        before = list(store.list(f"{STORE}/annotations/"))
        bench.take(tmp_path)
        assert list(store.list(f"{STORE}/annotations/")) == before
    assert latest[0] == latest[2] != latest[1]
    assert len(kept(store)) == 2


@pytest.mark.usefixtures("one_clip")
@pytest.mark.parametrize("at_once", [True, False])
def test_a_file_means_the_videos_that_came_with_it_where_other_folders_have_the_same_names(bench, store, video, tmp_path, at_once):
    films, hashes = tmp_path / "films", {}
    for number, (day, noun) in enumerate({"monday": "meat", "tuesday": "bag", "wednesday": None}.items()):
        folder = films / day
        folder.mkdir(parents=True)
        (folder / "a.mp4").write_bytes(video + free(number))
        hashes[day] = file_sha256(folder / "a.mp4")
        if noun:
            (folder / "labels.csv").write_text(f"{HEADER}a.mp4,put,{noun},,,\n")
            (folder / "whole.csv").write_text(f"video,fully_labelled,note\na.mp4,yes,{day}\n")
            (folder / "parts.csv").write_text(f"video,start_seconds,stop_seconds,verb,noun\na.mp4,0,1,put,{noun}\n")
    for folder in [films] if at_once else sorted(films.iterdir()):
        take(bench, folder)
    store.put("ingests/damaged/inventory.json", b"{")
    labels = labelled(bench)
    assert labels.problems == ()
    nouns = {hashes["monday"]: "meat", hashes["tuesday"]: "bag", hashes["wednesday"]: None}
    assert {labelled.clip.video: labelled.noun for labelled in labels.clips} == nouns
    by_video = intervals_to_export(store, STORE, given_labels(store, STORE)).by_video
    of_intervals = {video: {row.label.noun for row in rows} for video, rows in by_video.items()}
    assert of_intervals == {video: {noun} for video, noun in nouns.items() if noun}
    before = inputs_digest(store, STORE, RECIPE)
    store.remove(f"{STORE}/ingests/{'films' if at_once else 'monday'}/inventory.json")
    assert inputs_digest(store, STORE, RECIPE) != before, "which files came together is an input of labelling"


@pytest.mark.usefixtures("one_clip")
def test_equal_files_of_two_ingests_name_no_video_of_one_name(bench, video, tmp_path):
    for number, day in enumerate(("monday", "tuesday")):
        (tmp_path / day).mkdir()
        (tmp_path / day / "a.mp4").write_bytes(video + free(number))
        (tmp_path / day / "labels.csv").write_text(f"{HEADER}a.mp4,put,meat,,,\n")
        take(bench, tmp_path / day)
    (problem,) = labelled(bench).problems
    assert "matches 2 videos: 'a.mp4', 'a.mp4'; write their content hashes" in problem.reason


def test_files_of_one_name_are_kept_in_the_order_of_their_folders(bench, store, video, tmp_path):
    (tmp_path / "a.mp4").write_bytes(video)
    contents = [f"{HEADER}a,put,{noun},,,\n".encode() for noun in ("bag", "meat", "sauce", "pan")]
    for folder, content in zip("abcd", contents, strict=True):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "labels.csv").write_bytes(content)
    bench.take(tmp_path)
    assert [store.objects[f"{STORE}/annotations/{name}"] for name in kept(store)] == contents


def test_an_hourly_run_does_not_put_an_unchanged_csv_before_a_later_one(bench, store, video, tmp_path):
    store.put("inbox/a.mp4", video)
    store.put("inbox/labels.csv", f"{HEADER}a,put,meat,put meat,,\n".encode())
    bench.take()
    (tmp_path / "labels.csv").write_text(f"{HEADER}a,take,meat,take meat,,\n")
    bench.run("ingest", sources=[str(tmp_path)], out=f"{STORE}/ingests/by-hand/")
    before = kept(store)
    bench.take()
    assert (len(before), kept(store)) == (2, before)
