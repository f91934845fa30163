"""A folder of hostile and broken files with good ones between them: each bad one costs itself, and says why."""

import os
import subprocess
import threading
from types import SimpleNamespace

import pytest

from tasks.data.clips import intake, sources
from tasks.data.clips.sources import IncomingFile, incoming_files, read_chunks
from tasks.data.video import probe
from tasks.errors import BadInput
from tasks.store.records.video import Inventory
from tests.data.video.hostile import claiming_a_frame_of, misplacing_a_fragment
from tests.pipeline.in_process import STORE, Bench
from tests.pipeline.shelf import Shelf

pytestmark = pytest.mark.slow


@pytest.fixture
def folder(ffmpeg, film_of, tmp_path):
    """Bad files, in the order of their names between two good ones."""
    mp4 = film_of(3)
    (tmp_path / "a good.mp4").write_bytes(mp4)
    (tmp_path / "b frame of a gigabyte.mp4").write_bytes(claiming_a_frame_of(mp4, 0x3FFFFFFF))
    os.mkfifo(tmp_path / "c pipe.mp4")
    os.mkfifo(tmp_path / "d pipe.csv")
    (tmp_path / "e empty.mp4").touch()
    fragments = ["-i", tmp_path / "a good.mp4", "-c", "copy", "-movflags", "frag_keyframe+empty_moov", "-f", "mp4", "-"]
    made = subprocess.run([ffmpeg, "-nostdin", "-loglevel", "error", *fragments], check=True, capture_output=True).stdout
    (tmp_path / "f misplaced fragment.mp4").write_bytes(misplacing_a_fragment(made))
    (tmp_path / "g link to itself.mp4").symlink_to("g link to itself.mp4")
    (tmp_path / "z good.mp4").write_bytes(film_of(4))
    return tmp_path


def test_the_good_files_of_a_folder_are_taken_and_the_bad_ones_told(folder, monkeypatch, tmp_path_factory):
    scratch = tmp_path_factory.mktemp("scratch")
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    bench = Bench()
    bench.take(folder, "/dev/zero", folder / "c pipe.mp4")
    inventory = bench.store.read(f"{STORE}/ingests/test/inventory.json", Inventory)
    assert [file.name for file in inventory.files if file.video] == ["a good.mp4", "z good.mp4"]
    reasons = {bad.name: bad.reason for bad in inventory.set_aside}
    assert "more memory" in reasons["b frame of a gigabyte.mp4"]
    for name in ("c pipe.mp4", "d pipe.csv", "zero"):
        assert reasons[name] == "not a regular file but a device, a pipe or a folder"
    assert "empty" in reasons["e empty.mp4"]
    assert "does not decode" in reasons["f misplaced fragment.mp4"]
    assert "symbolic links" in reasons["g link to itself.mp4"]
    assert not list(scratch.iterdir())


@pytest.fixture
def swap():
    """Let something take the place of a file or folder between its check and the opening."""
    with pytest.MonkeyPatch.context() as patch:

        def run(path, substitute):
            def swapped(*arguments, **known):
                patch.undo()
                path.rename(path.with_name("gone"))
                substitute.rename(path)
                return os.open(*arguments, **known)

            patch.setattr(sources.os, "open", swapped)

        yield run


def test_a_pipe_that_takes_the_place_of_a_file_is_not_waited_for(tmp_path, swap):
    (tmp_path / "a.mp4").touch()
    os.mkfifo(tmp_path / "pipe")
    swap(tmp_path / "a.mp4", tmp_path / "pipe")
    ended = threading.Timer(30, lambda: (tmp_path / "a.mp4").open("wb").close())
    ended.daemon = True
    ended.start()
    with pytest.raises(BadInput, match="not a regular file"):
        list(read_chunks(tmp_path / "a.mp4", max_bytes=1, too_large="too large"))
    assert ended.is_alive()
    ended.cancel()


@pytest.mark.parametrize("swapped", ["films/day/a.mp4", "films/day", "films"])
def test_a_link_that_takes_the_place_of_a_file_or_folder_is_not_followed(swap, taker, tmp_path, swapped):
    for folder in ("films", "secret", "secret/day"):
        (tmp_path / folder / "day").mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "a.mp4").write_bytes(b"secret")
        (tmp_path / folder / "day" / "a.mp4").write_bytes(b"secret" if "secret" in folder else b"film")
    link, shelf = tmp_path / "link", Shelf()
    link.symlink_to(tmp_path / "secret" / swapped.removeprefix("films").lstrip("/"))
    swap(tmp_path / swapped, link)
    read = []
    (offer,) = (offer for offer in incoming_files([str(tmp_path / "films")], STORE, shelf) if offer.name == "day/a.mp4")
    seen = taker(shelf).take_annotation(offer, read.append)
    assert seen.reason.startswith("the file cannot be read")
    assert not read


def test_a_video_that_changes_while_it_is_taken_is_stored_as_it_was_hashed(film_of, taker, tmp_path, monkeypatch):
    (tmp_path / "a.mp4").write_bytes(film_of(1))
    shelf, write_file = Shelf(), Shelf.write_file
    (offer,) = incoming_files([str(tmp_path / "a.mp4")], STORE, shelf)

    def written(self, uri, path):
        (tmp_path / "a.mp4").write_bytes(b"changed")
        write_file(self, uri, path)

    monkeypatch.setattr(Shelf, "write_file", written)
    seen = taker(shelf).take_video(offer)
    assert shelf.objects[f"{STORE}/videos/{seen.video}/source.mp4"] == film_of(1)


def test_a_file_that_grows_or_never_ends_is_given_up(taker, tmp_path, monkeypatch):
    path = tmp_path / "a.mp4"
    path.write_bytes(bytes(3))
    with pytest.raises(BadInput, match="too large"):
        list(read_chunks(path, max_bytes=2, too_large="too large"))
    assert b"".join(read_chunks(path, max_bytes=3, too_large="too large")) == bytes(3)
    monkeypatch.setattr(sources, "time", SimpleNamespace(monotonic=iter((0, 61.5)).__next__))
    seen = taker(Shelf(), max_video_mib=1).take_video(IncomingFile("a.mp4", str(path), "etag", 3))
    assert "longer than 61 s" in seen.reason
    assert seen.etag, "it would be read each hour"


@pytest.mark.parametrize(("start_seconds", "reason"), [(0.001, "reading it took longer"), (60, None)])
def test_a_video_that_takes_for_ever_to_look_into_is_set_aside(film_of, taker, tmp_path, monkeypatch, start_seconds, reason):
    (tmp_path / "a.mp4").write_bytes(film_of(3))
    monkeypatch.setattr(probe, "START_SECONDS", start_seconds)
    monkeypatch.setattr(probe, "BYTES_PER_SECOND", 1 << 40)
    seen = taker(Shelf()).take_video(IncomingFile("a.mp4", str(tmp_path / "a.mp4"), "", len(film_of(3))))
    assert seen.reason == reason if reason is None else seen.reason.startswith(reason)


def test_a_file_that_grows_while_it_is_read_costs_itself_and_is_tried_again(taker, tmp_path, monkeypatch):
    (path := tmp_path / "a.mp4").write_bytes(b"half")

    def read(path, **limits):
        for chunk in read_chunks(path, **limits):
            path.write_bytes(b"whole")
            yield chunk

    monkeypatch.setattr(intake, "read_chunks", read)
    seen = taker(Shelf()).take_video(IncomingFile("a.mp4", str(path), "etag", 4))
    assert (seen.reason, seen.etag) == ("it changed while it was read; a later ingest takes it", "")
