"""Ingests that meet bad files, addresses and annotation files: each costs itself, and the hourly run stays quiet where it can."""

import json
import subprocess
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tasks.contracts.ingest_videos import IngestArguments
from tasks.errors import RetakeError
from tasks.results.video import NUM_FIRST, Inventory, SetAsideFile
from tasks.steps.ingest_videos import ingest
from tasks.store.objects import Store
from tests.integration.workshop import RECIPE

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

HEADER = "uid,verb,noun,action,verb_class,noun_class\n"


@pytest.fixture(scope="module")
def video(tmp_path_factory, ffmpeg):
    """A video of two seconds."""
    path = tmp_path_factory.mktemp("video") / "a.mp4"
    source = ["-f", "lavfi", "-i", "testsrc=s=320x240:r=30:d=2", "-pix_fmt", "yuv420p"]
    subprocess.run([ffmpeg, "-nostdin", "-loglevel", "error", *source, path], check=True)
    return path.read_bytes()


@pytest.fixture
def take(workshop, monkeypatch):
    """Ingest in this process, where a test may look; no sources are an hourly run. An ingest that stops gives its error."""
    monkeypatch.setenv("RETAKE_ALLOW_PRIVATE_ADDRESSES", "true")

    def call(store, *sources, **options):
        arguments = IngestArguments(store=store, out=f"{store}/ingests/test/", sources=[str(s) for s in sources], **options)
        return ingest.run(arguments, workshop.store)

    return call


@pytest.fixture
def stops(take):
    def call(store, *sources):
        with pytest.raises(RetakeError) as caught:
            take(store, *sources)
        return type(caught.value).__name__, str(caught.value)

    return call


@pytest.fixture
def served(tmp_path):
    """A folder, and the address under which a web server shows it."""
    folder = tmp_path / "served"
    folder.mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield folder, f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def read_files(monkeypatch):
    """The addresses of the objects that are downloaded from here on."""
    found = []
    read = Store.read_file
    monkeypatch.setattr(Store, "read_file", lambda self, uri, path: found.append(uri) or read(self, uri, path))
    return found


def reasons(workshop, store):
    found = workshop.store.read(f"{store}/ingests/test/inventory.json", Inventory)
    return {bad.name: bad.reason for bad in found.set_aside}


def kept(workshop, store):
    """The annotation files in order of upload, and when."""
    found = workshop.store.list(f"{store}/annotations/")
    return sorted((o.modified, o.name) for o in found)


def test_bad_addresses_and_files_cost_themselves(workshop, take, served, video, tmp_path):
    store = "s3://retake-costs"
    folder, address = served
    (folder / "a.mp4").write_bytes(video)
    (folder / "labels.csv").write_text(HEADER + "a,put,meat,put meat,0,0\n")
    local = tmp_path / "local"
    local.mkdir()
    (local / "broken.mp4").symlink_to("/proc/self/mem")
    with (local / "large.csv").open("wb") as file:
        file.truncate((64 << 20) + 1)
    bad = ["http://[::1/a.mp4", "http://127.0.0.1:99999/b.mp4", "http://a..b/c.mp4", "s3://A/d.mp4", f"{address}/none.csv"]
    result = take(store, f"{address}/a.mp4", f"{address}/labels.csv", local, *bad)
    assert (result.num_videos, result.num_annotations, result.num_set_aside) == (1, 1, 7)
    found = reasons(workshop, store)
    assert {bad.name: bad.reason for bad in result.first_set_aside} == found
    told = {"http://[::1/a.mp4": "Invalid IPv6", "b.mp4": "Port out of range", "c.mp4": "malformed", "d.mp4": "s3://A/d.mp4"}
    told |= {"none.csv": "404", "large.csv": "more than 64 MiB", "broken.mp4": "a link that leads out of"}
    assert found.keys() == told.keys()
    assert all(told[name] in found[name] for name in told)


def test_sources_without_anything_usable_are_bad_input(workshop, stops, served):
    _, address = served
    kind, line = stops("s3://retake-useless", f"{address}/none.csv")
    assert (kind, "no usable video in" in line, "404" in line) == ("BadInput", True, True)
    assert not list(workshop.store.list("s3://retake-useless"))


def test_an_inbox_object_that_is_too_large_is_not_downloaded(workshop, take, video, monkeypatch):
    store = "s3://retake-large"
    workshop.store.ensure_bucket(store)
    workshop.store.write_bytes(f"{store}/inbox/a.mp4", video)
    workshop.store.write_bytes(f"{store}/inbox/large.mp4", bytes((1 << 20) + 1))
    downloaded = read_files(monkeypatch)
    take(store, max_video_mib=1)
    assert downloaded == [f"{store}/inbox/a.mp4"]
    assert reasons(workshop, store) == {"large.mp4": "larger than 1 MiB; raise max_video_mib to take it"}


def test_an_inbox_of_bad_files_alone_says_so_and_is_not_downloaded_twice(workshop, stops, monkeypatch):
    store = "s3://retake-bad-inbox"
    workshop.store.ensure_bucket(store)
    assert stops(store) == ("NothingToDo", f"the inbox is empty; put videos under {store}/inbox/, or name sources in the form")
    workshop.store.write_bytes(f"{store}/inbox/notes.mp4", b"no video")
    downloaded = read_files(monkeypatch)
    first, second = stops(store), stops(store)
    assert first == second
    assert (first[0], "notes.mp4: " in first[1], "empty" in first[1]) == ("NothingToDo", True, False)
    assert downloaded == [f"{store}/inbox/notes.mp4"]


def test_annotation_files_wait_for_videos(workshop, stops):
    store = "s3://retake-waiting"
    workshop.store.ensure_bucket(store)
    workshop.store.write_bytes(f"{store}/annotations/labels.csv", HEADER.encode())
    kind, line = stops(store)
    assert (kind, "annotation files wait for videos" in line) == ("NothingToDo", True)


def test_a_new_bad_file_reaches_the_summary_once(workshop, stops, video, monkeypatch):
    store = "s3://retake-ticks"
    workshop.store.ensure_bucket(store)
    workshop.store.write_bytes(f"{store}/inbox/put meat/a.mp4", video)
    workshop.ingest(store, None)
    workshop.run("label", store=store)
    unchanged = ("NothingToDo", "no new video and no new annotation since labels were last gathered")
    assert stops(store) == unchanged
    before = [(o.uri, o.modified) for o in workshop.store.list(store)]
    assert stops(store) == unchanged
    assert [(o.uri, o.modified) for o in workshop.store.list(store)] == before

    workshop.store.write_bytes(f"{store}/inbox/notes.mp4", b"no video")
    summary = workshop.ingest(store, None)
    assert (summary["num_set_aside"], summary["num_videos"], summary["num_clips"]) == (1, 1, 1)
    assert [bad["name"] for bad in summary["first_set_aside"]] == ["notes.mp4"]
    downloaded = read_files(monkeypatch)
    assert stops(store) == unchanged
    assert downloaded == []


def test_a_store_that_was_written_before_clips_knew_their_ffmpeg_is_neither_cut_nor_labelled_again(workshop, stops, video):
    made, store = "s3://retake-made", "s3://retake-before"
    workshop.store.ensure_bucket(made)
    workshop.store.ensure_bucket(store)
    workshop.store.write_bytes(f"{made}/inbox/put meat/a.mp4", video)
    workshop.ingest(made, None)
    (recipe,) = {found.uri.split("/")[-2] for found in workshop.store.list(f"{made}/clips/")}
    for found in [*workshop.store.list(f"{made}/videos/"), *workshop.store.list(f"{made}/clips/"), *workshop.store.list(f"{made}/inbox/")]:
        data = workshop.store.read_bytes(found.uri)
        if found.name == "clips.json":
            clips = json.loads(data)
            assert clips.pop("ffmpeg")
            data = json.dumps(clips).encode()
        if found.name.endswith(".json"):
            data = data.replace(recipe.encode(), RECIPE.encode()).replace(made.encode(), store.encode())
        workshop.store.write_bytes(found.uri.replace(recipe, RECIPE).replace(made, store), data)
    (cut_before,) = workshop.store.folders(next(iter(workshop.store.folders(f"{store}/clips/"))))
    assert cut_before.endswith(f"/{RECIPE}/")
    before = [(o.uri, o.modified, o.etag) for o in workshop.store.list(f"{store}/clips/")]
    assert workshop.ingest(store, None)["num_clips"] == 1
    labelled = workshop.run("label", store=store)
    assert (labelled["num_clips"], labelled["num_labelled"]) == (1, 1)
    assert stops(store) == ("NothingToDo", "no new video and no new annotation since labels were last gathered")
    assert [(o.uri, o.modified, o.etag) for o in workshop.store.list(f"{store}/clips/")] == before


def test_a_result_names_the_first_files_and_a_file_beside_it_all(workshop, video, tmp_path):
    store = "s3://retake-many"
    (tmp_path / "a.mp4").write_bytes(video)
    for number in range(NUM_FIRST + 5):
        (tmp_path / f"bad{number:02}.mp4").write_bytes(b"no video")
    summary = workshop.ingest(store, tmp_path)
    assert (summary["num_set_aside"], len(summary["first_set_aside"])) == (NUM_FIRST + 5, NUM_FIRST)
    found = workshop.store.read(summary["set_aside_uri"], SetAsideFile)
    assert [bad.name for bad in found.set_aside] == [f"bad{number:02}.mp4" for number in range(NUM_FIRST + 5)]
    ingested = json.loads(workshop.store.read_bytes(f"{store}/ingests/test/result.json"))
    assert (ingested["num_set_aside"], len(ingested["first_set_aside"])) == (NUM_FIRST + 5, NUM_FIRST)


def test_a_csv_that_is_changed_back_is_the_latest_again(workshop, take, video, tmp_path):
    store = "s3://retake-reverted"
    (tmp_path / "a.mp4").write_bytes(video)
    table = tmp_path / "labels.csv"
    latest = []
    for verb in ("put", "take", "put"):
        table.write_text(HEADER + f"a,{verb},meat,{verb} meat,,\n")
        workshop.run("ingest", store=store, sources=tmp_path, out=f"{store}/ingests/test/")
        latest.append(kept(workshop, store)[-1][1])
        before = kept(workshop, store)
        take(store, tmp_path)
        assert kept(workshop, store) == before
    assert latest[0] == latest[2] != latest[1]
    assert len(kept(workshop, store)) == 2


def test_files_of_one_name_are_kept_in_the_order_of_their_folders(workshop, take, video, tmp_path):
    store = "s3://retake-namesakes"
    (tmp_path / "a.mp4").write_bytes(video)
    contents = {
        folder: f"{HEADER}a,put,{noun},put {noun},,\n".encode()
        for folder, noun in zip("abcd", ("bag", "meat", "sauce", "pan"), strict=True)
    }
    for folder, content in contents.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "labels.csv").write_bytes(content)
    take(store, tmp_path)
    before = kept(workshop, store)
    assert [workshop.store.read_bytes(f"{store}/annotations/{name}") for _, name in before] == list(contents.values())
    take(store, tmp_path)
    assert kept(workshop, store) == before


def test_an_hourly_run_does_not_put_an_unchanged_csv_before_a_later_one(workshop, take, video, tmp_path):
    store = "s3://retake-hourly"
    workshop.store.ensure_bucket(store)
    workshop.store.write_bytes(f"{store}/inbox/a.mp4", video)
    workshop.store.write_bytes(f"{store}/inbox/labels.csv", f"{HEADER}a,put,meat,put meat,,\n".encode())
    take(store)
    (tmp_path / "labels.csv").write_text(f"{HEADER}a,take,meat,take meat,,\n")
    workshop.run("ingest", store=store, sources=tmp_path, out=f"{store}/ingests/by-hand/")
    before = kept(workshop, store)
    take(store)
    assert (len(before), kept(workshop, store)) == (2, before)
