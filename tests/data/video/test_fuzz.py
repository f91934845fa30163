"""Videos that are damaged at random cost themselves alone: no hang, no crash, no unforeseen exception, no file that is left behind.

The damage follows from a number, which a failure names. RETAKE_FUZZ_VIDEOS=5000 tries that number of files, RETAKE_FUZZ_VIDEOS=137:138 one alone.
"""

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.data.video.child import MemoryShares, usable_bytes
from tasks.data.video.cut import cut
from tasks.data.video.probe import START_SECONDS, probe
from tasks.errors import BadVideo
from tasks.options import SegmentOptions
from tests.data.video.hostile import mutated

FIRST, _, STOP = os.environ.get("RETAKE_FUZZ_VIDEOS", "26").rpartition(":")
NUMBERS = range(int(FIRST or 0), int(STOP))

H264 = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p")
SOURCES = {
    "h264.mp4": (*H264, "-c:a", "aac"),
    "fragments.mp4": (*H264, "-c:a", "aac", "-movflags", "frag_keyframe+empty_moov"),
    "hevc.mov": ("-c:v", "libx265", "-x265-params", "log-level=none", "-preset", "ultrafast", "-c:a", "pcm_s16le"),
    "vp8.webm": ("-c:v", "libvpx", "-b:v", "100k", "-c:a", "libvorbis"),
    "live.webm": ("-c:v", "libvpx", "-b:v", "100k", "-live", "1", "-an"),
    "h264.mkv": (*H264, "-c:a", "libmp3lame"),
    "mpeg4.avi": ("-c:v", "mpeg4", "-c:a", "libmp3lame"),
    "mpeg2.ts": ("-c:v", "mpeg2video", "-c:a", "mp2"),
    "mpeg1.mpg": ("-c:v", "mpeg1video", "-r", "25", "-c:a", "mp2"),
    "h264.flv": (*H264, "-c:a", "aac"),
    "wmv2.wmv": ("-c:v", "wmv2", "-c:a", "wmav2"),
    "theora.ogv": ("-c:v", "libtheora", "-c:a", "libvorbis"),
    "mpeg2.mxf": ("-c:v", "mpeg2video", "-r", "25", "-c:a", "pcm_s16le", "-ar", "48000"),
}
OPTIONS = SegmentOptions(clip_seconds=1, min_clip_seconds=0.3, fps=10, short_side=128)
CUT_SECONDS = 60
TOLERATED_SECONDS = 60
"""On a machine that does other things, too."""


@pytest.fixture(scope="module")
def sources(make_video, tmp_path_factory):
    """A small video of each kind that is taken."""
    folder = tmp_path_factory.mktemp("sources")
    picture, sound = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=10:d=1.5"), ("-f", "lavfi", "-i", "sine=d=1.5")
    return [make_video(folder / name, *picture, *sound, *arguments) for name, arguments in SOURCES.items()]


@pytest.mark.slow
@pytest.mark.timeout(300 + 5 * max(len(NUMBERS), 200))
@pytest.mark.parametrize("numbers", [NUMBERS, pytest.param(range(200), marks=pytest.mark.long)], ids=["some", "many"])
def test_a_damaged_video_costs_itself_alone(numbers, sources, ffmpeg, tmp_path):
    shares = MemoryShares(2, usable_bytes())
    with ThreadPoolExecutor(2) as pool:
        faults = pool.map(
            lambda number: _wrong_with(number, sources[number % len(sources)], tmp_path / str(number), ffmpeg, shares), numbers
        )
        wrong = {number: fault for number, fault in zip(numbers, faults, strict=True) if fault}
    assert not wrong, "\n".join(f"{number} ({sources[number % len(sources)].name}): {fault}" for number, fault in wrong.items())


def _wrong_with(number, source, folder, ffmpeg, shares):
    """Probe and cut a damaged file; return a fault, or None if it is cut or set aside."""
    folder.mkdir()
    path = folder / source.name
    path.write_bytes(mutated(source.read_bytes(), number))
    started = time.monotonic()
    clips: list[Path] = []
    reason = ""
    try:
        held = shares.run(lambda memory: probe(path, max_seconds=3600, memory=memory))
        made = shares.run(lambda memory: cut(path, held, folder, OPTIONS, ffmpeg=ffmpeg, time_limit_seconds=CUT_SECONDS, memory=memory))
        clips = [clip.path for clip in made.clips]
    except BadVideo as error:
        reason = str(error)
    except Exception as error:  # noqa: BLE001 - the test looks for it
        return f"{type(error).__name__}: {error}"
    if "exit status" in reason or "was killed by" in reason:
        return reason
    if time.monotonic() - started > START_SECONDS + CUT_SECONDS + TOLERATED_SECONDS:
        return f"took {time.monotonic() - started:.0f} s"
    left = {file for file in folder.rglob("*") if file.is_file()} - {path, *clips}
    return f"leaves {', '.join(map(str, sorted(left)))}" if left else None
