"""A real ffmpeg, and videos made with it."""

import math
import subprocess

import pytest

from tasks.data.video.child import undivided
from tasks.data.video.cut import cut
from tasks.data.video.ffmpeg import find_ffmpeg
from tasks.data.video.probe import probe
from tasks.options import SegmentOptions

DEFAULTS = SegmentOptions()


@pytest.fixture(scope="session")
def make_video(ffmpeg):
    def make(path, *arguments):
        command = [str(ffmpeg), "-hide_banner", "-nostdin", "-loglevel", "error", "-y", *arguments, f"file:{path}"]
        subprocess.run(command, check=True, capture_output=True)
        return path

    return make


def look(path):
    return probe(path, max_seconds=math.inf, memory=undivided())


def cut_into(folder, path, options=DEFAULTS, program=None):
    return cut(path, look(path), folder, options, ffmpeg=find_ffmpeg(program), time_limit_seconds=240, memory=undivided())


@pytest.fixture(scope="session")
def counted(make_video, tmp_path_factory):
    """20.5 s at 30 fps with sound; the grey of frame n is 20 + 7n % 200."""
    return make_video(
        tmp_path_factory.mktemp("counted") / "counted.mp4",
        *("-f", "lavfi", "-i", "nullsrc=s=96x64:r=30:d=20.5,geq=lum=20+mod(7*N\\,200):cb=128:cr=128"),
        *("-f", "lavfi", "-i", "sine=f=440:d=20.5"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-crf", "1", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    )


@pytest.fixture(scope="session")
def patterned(make_video, tmp_path_factory):
    """Five frames of 96x64 pixels with edges, which interpolations scale differently."""
    drawn = ["-f", "lavfi", "-i", "testsrc2=size=96x64:rate=30", "-frames:v", "5", "-pix_fmt", "yuv420p"]
    return make_video(tmp_path_factory.mktemp("patterned") / "0000.mp4", *drawn)


@pytest.fixture(scope="session")
def clips(counted, tmp_path_factory):
    """`counted`, cut as by default: two clips of 240 frames and one of 135."""
    return cut_into(tmp_path_factory.mktemp("clips"), counted).clips


@pytest.fixture(scope="session")
def small(make_video, tmp_path_factory):
    """A second of 30 frames of 64x48 pixels."""
    drawn = ["-f", "lavfi", "-i", "testsrc2=s=64x48:r=30:d=1", "-pix_fmt", "yuv420p"]
    return make_video(tmp_path_factory.mktemp("small") / "small.mp4", *drawn).read_bytes()
