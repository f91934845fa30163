"""Frames are decoded by threads: the processes that do so elsewhere take longer to start than these few frames."""

from concurrent.futures import ThreadPoolExecutor
from functools import cache

import pytest

from tasks.data.clips.intake import Intake
from tasks.data.video import frames
from tasks.options import IngestOptions
from tests.data.conftest import script
from tests.pipeline.shelf import filmed

DEBIANS = "7.1.5-0+deb13u1"


@pytest.fixture(autouse=True)
def threads_decode(monkeypatch):
    monkeypatch.setattr(frames, "ProcessPoolExecutor", lambda num_workers, mp_context: ThreadPoolExecutor(num_workers))


@pytest.fixture
def debians(ffmpeg, tmp_path):
    """The same ffmpeg, which reports Debian's version."""
    (tmp_path / "debian").mkdir()
    says = f'[ "$1" = -version ] && exec echo ffmpeg version {DEBIANS} Copyright'
    return script(tmp_path / "debian" / "ffmpeg", f'{says}\nexec {ffmpeg} "$@"')


@pytest.fixture
def taker():
    def make(store=None, *, labels=True, **options):
        return Intake(store, "s3://retake", IngestOptions(**options), allow_private=True, names_label=labels)

    return make


@pytest.fixture(scope="session")
def film_of(ffmpeg, tmp_path_factory):
    """A moving picture of so many seconds, as bytes; drawn once."""
    return cache(lambda seconds: filmed(ffmpeg, tmp_path_factory.mktemp("film") / "film.mp4", seconds).read_bytes())


@pytest.fixture(scope="session")
def sounding(ffmpeg, tmp_path_factory):
    """A moving picture of so many seconds with a track that lavfi draws, or with none; drawn once."""

    @cache
    def sounding(seconds, track):
        return filmed(ffmpeg, tmp_path_factory.mktemp("film") / "film.mp4", seconds, f"testsrc2=s=64x48:r=30:d={seconds}", track)

    return sounding
