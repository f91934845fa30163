"""Clips around intervals show the frames and play the sound of their time."""

import math
import random
from pathlib import Path

import av
import numpy as np
import pytest

from tasks.errors import BadVideo
from tasks.options import SegmentOptions
from tasks.video.cut import CutResult, cut
from tasks.video.cut_spans import cut_spans
from tasks.video.interval_spans import FrameSpan
from tasks.video.memory import undivided
from tasks.video.probe import probe
from tests.video.test_cut import greys

pytestmark = pytest.mark.slow

SAMPLE_RATE = 48_000


@pytest.fixture
def cut_parts(ffmpeg: Path, tmp_path: Path):
    def cut_parts(path: Path, *parts: tuple[int, int], options=SegmentOptions(min_clip_seconds=0.5)) -> CutResult:  # noqa: B008
        memory = undivided()
        held = probe(path, max_seconds=math.inf, memory=memory)
        spans = [FrameSpan(start, number, (0, 0)) for start, number in parts]
        return cut_spans(path, held, tmp_path, options, spans=spans, ffmpeg=ffmpeg, time_limit_seconds=240, memory=memory)

    return cut_parts


def test_each_frame_is_the_one_of_its_time(counted: Path, cut_parts):
    drawn = random.Random(0)  # noqa: S311 - not a secret
    starts = [0, 1, 29, 30, 31, 375, *(drawn.randrange(375) for _ in range(4))]
    result = cut_parts(counted, *((start, 240) for start in starts), options=SegmentOptions(crf=1))
    assert [(one.index, one.num_frames, round(one.start_seconds * 30)) for one in result.clips] == [
        (index, 240, start) for index, start in enumerate(starts)
    ]
    for start, clip in zip(starts, result.clips, strict=True):
        shown = np.array(greys(clip.path))
        np.testing.assert_allclose(shown * 219 / 255 + 16, 20 + 7 * np.arange(start, start + 240) % 200, atol=1.5)


@pytest.mark.parametrize("name", ["long/nasa_13013.mp4", "long/big_buck_bunny_0_30.webm", "odd/vfr_real.mp4", "odd/fps5994.mp4"])
def test_real_videos_are_cut_as_on_the_grid(name, shared: Path, ffmpeg: Path, tmp_path: Path, cut_parts):
    """Frames of the neighbouring time would be further away; so would sound that is late."""
    path, options, memory = shared / "videos" / name, SegmentOptions(clip_seconds=2, crf=5), undivided()
    held = probe(path, max_seconds=math.inf, memory=memory)
    grid = cut(path, held, tmp_path, options, ffmpeg=ffmpeg, time_limit_seconds=240, memory=memory).clips[:3]
    found = cut_parts(path, *((round(one.start_seconds * 30), one.num_frames) for one in grid), options=options).clips
    for one, other in zip(grid, found, strict=True):
        expected, shown = frames_of(one.path), frames_of(other.path)
        away = [np.abs(expected[2:-2] - shown[2 + shift : len(shown) - 2 + shift]).mean() for shift in (-1, 0, 1)]
        assert len(expected) == len(shown)
        assert away[1] == min(away)
        assert away[1] < 2
        if one.has_audio:
            # A clip of the grid begins with a whole packet of sound, up to 21 ms late.
            assert abs(lag_samples(sound_of(one.path), sound_of(other.path))) <= 1024


@pytest.mark.parametrize(("rate", "suffix"), [(24, "mp4"), (60, "mkv"), (30, "ts"), (30, "flv")])
def test_frames_are_those_of_the_grid_in_each_container_and_where_two_are_as_near(
    rate, suffix, make_video, ffmpeg: Path, tmp_path: Path, cut_parts
):
    path = make_video(
        tmp_path / f"counted.{suffix}",
        *("-f", "lavfi", "-i", f"nullsrc=s=64x64:r={rate}:d=14,geq=lum=20+mod(7*N\\,200):cb=128:cr=128"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-bf", "2", "-crf", "1", "-pix_fmt", "yuv420p"),
    )
    options, memory = SegmentOptions(clip_seconds=15, crf=1, min_clip_seconds=0.5), undivided()
    held = probe(path, max_seconds=math.inf, memory=memory)
    (whole,) = cut(path, held, tmp_path, options, ffmpeg=ffmpeg, time_limit_seconds=240, memory=memory).clips
    expected = np.array(greys(whole.path))
    starts = (0, 7, 31, 61, 345)
    for start, clip in zip(starts, cut_parts(path, *((start, 60) for start in starts), options=options).clips, strict=True):
        np.testing.assert_allclose(greys(clip.path), expected[start : start + 60], atol=2)


def frames_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="gray8") for frame in container.decode(video=0)]).astype(np.int16)


def sound_of(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def lag_samples(one: np.ndarray, other: np.ndarray) -> int:
    part = one[10_000:50_000]
    scores = [float(part @ other[10_000 + lag : 50_000 + lag]) for lag in range(-4000, 4001, 8)]
    return 8 * int(np.argmax(scores)) - 4000


def test_sound_begins_where_the_part_begins(make_video, tmp_path: Path, cut_parts):
    """Silence for 5 s, then a tone."""
    path = make_video(
        tmp_path / "tone.mp4",
        *("-f", "lavfi", "-i", "color=c=gray:s=64x64:r=30:d=10"),
        *("-f", "lavfi", "-i", "sine=f=440:r=48000:d=10,volume='gt(t,5)':eval=frame"),
        *("-c:v", "libx264", "-c:a", "aac"),
    )
    (clip,) = cut_parts(path, (100, 120)).clips
    loud = np.abs(sound_of(clip.path)) > 0.02
    assert np.argmax(loud) / SAMPLE_RATE == pytest.approx(5 - 100 / 30, abs=0.06)


def test_same_bytes_again(counted: Path, cut_parts):
    first, second = ([clip.sha256 for clip in cut_parts(counted, (7, 100), (300, 100)).clips] for _ in range(2))
    assert first == second


def test_a_part_beyond_the_last_frame_is_left_out_with_the_reason(counted: Path, cut_parts):
    result = cut_parts(counted, (0, 60), (605, 60), (700, 60))
    assert [clip.index for clip in result.clips] == [0]
    assert "20.17 to 20.50 s is shorter than the minimum" in result.warnings[0]
    assert "nothing of 23.33 to 25.33 s decodes" in result.warnings[1]
    with pytest.raises(BadVideo, match="nothing of"):
        cut_parts(counted, (700, 60))


def test_a_video_without_a_time_limit_left_is_stopped(counted: Path, ffmpeg: Path, tmp_path: Path):
    memory = undivided()
    held = probe(counted, max_seconds=math.inf, memory=memory)
    with pytest.raises(BadVideo, match="took longer than 0 s"):
        cut_spans(
            counted, held, tmp_path, SegmentOptions(), spans=[FrameSpan(0, 60, (0, 2))], ffmpeg=ffmpeg, time_limit_seconds=0, memory=memory
        )
    assert not any(tmp_path.iterdir())
