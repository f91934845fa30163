"""A store that knows what was fetched from it, and ingests into it."""

import hashlib
from datetime import timedelta
from types import SimpleNamespace

import pytest

from tasks.data.clips import cut_videos
from tasks.data.video.cut import CutClip, CutResult
from tasks.errors import NothingToDo, Unavailable
from tests.pipeline.in_process import STORE, Bench
from tests.pipeline.shelf import Killed, Shelf, filmed


class Watched(Shelf):
    """A store that keeps times in whole seconds, as S3 does, and knows what was read from it as a file.

    Whoever reads `deadly` is killed, nobody gets `refused`, or anything while it `fails`; what is under `off` is neither listed nor examined.
    """

    off, deadly, fails, refused, num_refused = "nothing", None, None, None, 0

    def __init__(self):
        super().__init__(buckets=("retake", "films"))
        self.fetched = []

    def sleep(self, seconds):
        self.now += timedelta(seconds=seconds)

    def _reach(self, uri):
        if uri.startswith(self.off):
            raise Unavailable(f"no server for {uri}")

    def stat(self, uri):
        self._reach(uri)
        return super().stat(uri)

    def list(self, prefix_uri):
        self._reach(prefix_uri)
        return super().list(prefix_uri)

    def read_file(self, uri, path):
        if uri == self.deadly:
            raise Killed
        if self.fails:
            raise self.fails
        if uri == self.refused:
            self.num_refused += 1
            raise Unavailable(f"request {self.num_refused} failed")
        self.fetched.append(uri)
        super().read_file(uri, path)

    def write_bytes(self, uri, data):
        with self.creating:
            now = self.now
            super().write_bytes(uri, data)
            self.now, self.written[uri] = now, now.replace(microsecond=0)

    def put(self, place, data):
        self.write_bytes(f"{STORE}/{place}", data)

    def fetched_now(self):
        fetched, self.fetched = self.fetched, []
        return fetched


@pytest.fixture(scope="package")
def video(tmp_path_factory, ffmpeg):
    return filmed(ffmpeg, tmp_path_factory.mktemp("video") / "a.mp4", seconds=2).read_bytes()


@pytest.fixture
def store(monkeypatch):
    store = Watched()
    monkeypatch.setattr("tasks.data.clips.intake.time", SimpleNamespace(sleep=store.sleep))
    monkeypatch.setenv("RETAKE_ALLOW_PRIVATE_ADDRESSES", "true")
    return store


@pytest.fixture
def bench(store):
    return Bench(store)


@pytest.fixture
def one_clip(monkeypatch):
    """Put `before(content)`, and then a clip that is the whole video, in the place of ffmpeg."""

    def install(before=lambda content: None, warnings=()):
        def cut(source, held, folder, *args, **kwargs):
            content = source.read_bytes()
            before(content)
            path = folder / "0000.mp4"
            path.write_bytes(content)
            sha256 = hashlib.sha256(content).hexdigest()
            clip = CutClip(path, 0, 0, 2, 60, has_audio=False, size_bytes=len(content), sha256=sha256, width=320, height=240)
            return CutResult((clip,), 0, warnings)

        monkeypatch.setattr(cut_videos, "cut", cut)

    install()
    return install


def told_nothing(bench):
    """Why an hourly run has nothing to do."""
    with pytest.raises(NothingToDo) as stopped:
        bench.take()
    return str(stopped.value)


def free(number):
    """An empty part of an MP4, which gives a film another content."""
    return number * b"\0\0\0\x08free"
