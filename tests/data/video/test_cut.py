import hashlib
import sys
from functools import cache

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tasks.data.video.child import Memory, undivided
from tasks.data.video.cut import cut, cut_arguments, frames_per_clip, is_kept
from tasks.data.video.ffmpeg import clip_size, run_ffmpeg
from tasks.data.video.frames import read_frames
from tasks.errors import BadVideo, OutOfMemory
from tasks.options import SegmentOptions
from tests.data.conftest import script
from tests.data.video.conftest import cut_into, look
from tests.data.video.test_probe import REFUSED

pytestmark = pytest.mark.slow

# Long enough for odd files of a second; the shortest are set aside.
SHORT = SegmentOptions(min_clip_seconds=0.5)


@pytest.fixture
def cut_up(tmp_path):
    return lambda path, options=SHORT, program=None: cut_into(tmp_path, path, options, program)


@pytest.fixture(scope="module")
def cut_odd(shared, tmp_path_factory):
    """Cut an odd file once for all who ask."""
    return cache(lambda name: cut_into(tmp_path_factory.mktemp("odd"), shared / "videos/odd" / name, SHORT))


def greys(path):
    with av.open(str(path)) as container:
        return [round(float(frame.to_ndarray(format="gray8").mean())) for frame in container.decode(video=0)]


def test_every_frame_is_in_its_clip_once(counted, cut_up):
    result = cut_up(counted, SegmentOptions(crf=1))
    assert [(c.index, c.num_frames, c.start_seconds, c.stop_seconds) for c in result.clips] == [
        (0, 240, 0.0, 8.0),
        (1, 240, 8.0, 16.0),
        (2, 135, 16.0, 20.5),
    ]
    assert (result.dropped_seconds, result.warnings) == (0.0, ())
    shown = np.concatenate([greys(clip.path) for clip in result.clips])
    np.testing.assert_allclose(shown * 219 / 255 + 16, 20 + 7 * np.arange(615) % 200, atol=1.5)


def key_frames(clip):
    with av.open(str(clip.path)) as container:
        return [number for number, packet in enumerate(p for p in container.demux(video=0) if p.size) if packet.is_keyframe]


def test_a_clip_has_a_form_that_every_player_shows(clips):
    for clip in clips:
        head = clip.path.read_bytes()
        assert head.index(b"moov") < head.index(b"mdat")
        assert b"Lavf" not in head
        with av.open(str(clip.path)) as container:
            video, audio = container.streams.video[0], container.streams.audio[0]
            assert (video.codec_context.pix_fmt, video.average_rate, video.start_time, audio.start_time) == ("yuv420p", 30, 0, 0)
            assert container.duration / av.time_base == pytest.approx(clip.stop_seconds - clip.start_seconds, abs=0.03)
            assert (audio.codec_context.name, clip.has_audio) == ("aac", True)
        assert key_frames(clip) == list(range(0, clip.num_frames, 15))
        assert (clip.size_bytes, clip.sha256) == (len(head), hashlib.sha256(head).hexdigest())


def test_same_bytes_again(shared, counted, clips, cut_odd, cut_up):
    for path, first in ((counted, clips), (shared / "videos/odd/corrupted.mp4", cut_odd("corrupted.mp4").clips)):
        assert [clip.sha256 for clip in cut_up(path).clips] == [clip.sha256 for clip in first]


def test_odd_lengths_and_rates_are_cut_exactly_and_a_short_rest_is_dropped(counted, cut_up):
    options = SegmentOptions(clip_seconds=1.3, fps=29, gop_frames=7)
    result = cut_up(counted, options)
    assert {clip.num_frames for clip in result.clips} == {frames_per_clip(options)} == {38}
    assert key_frames(result.clips[0]) == list(range(0, 38, 7))
    assert result.clips[-1].stop_seconds + result.dropped_seconds == pytest.approx(20.5, abs=1 / 29)
    assert 0 < result.dropped_seconds < 1.3
    assert len(list(result.clips[0].path.parent.iterdir())) == len(result.clips) == 15


# By PyAV: seconds from zero to the end of the last frame, and the upright size in square pixels.
CUT = {
    "av1_video.mkv": (5.0, (640, 360)),
    "bt709_full_range.mp4": (1.0, (1280, 720)),
    "corrupted.mp4": (5.0, (1280, 720)),
    "fps5994.mp4": (8.99, (640, 360)),
    "h264_10bits.mp4": (1.0, (200, 200)),
    "h265_10bits.mp4": (1.0, (200, 200)),
    "h265_video.mp4": (1.0, (128, 128)),
    "no_duration.webm": (4.94, (1280, 720)),
    "rotated90_remux.mp4": (3.107, (256, 427)),
    "transparent.webm": (5.0, (200, 200)),
    "vfr_real.mp4": (6.006, (640, 360)),
    "video_with_failing_audio.mp4": (11.2, (640, 360)),
}
SET_ASIDE = {
    "shorter_than_8_frames.mp4": r"0\.20 s long, shorter than the minimum of 0\.5 s",
    "unordered.mov": r"0\.13 s long, shorter",
    **{f"video_{degrees}.mov": r"0\.10 s long, shorter" for degrees in (0, 90, 180, 270)},
}


def test_every_odd_file_is_tested(shared):
    assert {path.name for path in (shared / "videos/odd").iterdir()} == {*CUT, *SET_ASIDE, *REFUSED}


@pytest.mark.parametrize("name", SET_ASIDE)
def test_an_odd_file_is_set_aside(shared, cut_up, name):
    with pytest.raises(BadVideo, match=SET_ASIDE[name]):
        cut_up(shared / "videos/odd" / name)


@pytest.mark.parametrize("name", CUT)
def test_an_odd_file_is_cut(shared, cut_odd, name):
    seconds, (width, height) = CUT[name]
    path = shared / "videos/odd" / name
    result = cut_odd(name)
    for clip in result.clips:
        assert min(clip.width, clip.height) <= min(256, width, height)
        assert clip.width / clip.height == pytest.approx(width / height, rel=0.01)
        assert clip.has_audio == look(path).has_audio
        assert len(greys(clip.path)) == clip.num_frames
    assert [clip.num_frames for clip in result.clips[:-1]] == [240] * (len(result.clips) - 1)
    assert result.clips[-1].stop_seconds + result.dropped_seconds == pytest.approx(seconds, abs=0.04)
    looks_like_the_original(path, result.clips[0].path)


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_rotated_video_is_cut_upright(shared, make_video, tmp_path, cut_up, degrees):
    source = shared / "videos/odd" / f"video_{degrees}.mov"
    path = make_video(tmp_path / "looped.mov", "-stream_loop", "20", "-i", str(source), "-c", "copy")
    (clip,) = cut_up(path).clips
    assert (clip.width < clip.height) == (degrees != 180)
    looks_like_the_original(path, clip.path)


def looks_like_the_original(path, clip):
    """The first picture, decoded by PyAV and turned by numpy, is that of the clip: upright, and in the same colours."""
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
    original = np.rot90(np.asarray(frame.to_ndarray(format="rgb24")), k=frame.rotation // 90)
    (ours,) = read_frames(clip, [0], short_side=None)
    small = Image.fromarray(np.ascontiguousarray(original)).resize((ours.shape[1] // 8, ours.shape[0] // 8), Image.Resampling.BOX)
    ours_small = Image.fromarray(ours).resize(small.size, Image.Resampling.BOX)
    assert np.abs(np.asarray(small, dtype=float) - np.asarray(ours_small, dtype=float)).mean() < 4


def test_hdr_comes_out_in_ordinary_colours(make_video, tmp_path, cut_up):
    to_pq = (
        "format=gbrp,setparams=color_trc=iec61966-2-1:color_primaries=bt709:colorspace=gbr:range=pc,"
        "zscale=npl=203:t=smpte2084:m=bt2020nc:p=bt2020:r=tv,format=yuv420p10le"
    )
    path = make_video(
        tmp_path / "hdr.mp4",
        *("-f", "lavfi", "-i", "color=c=0xC04020:s=128x96:d=1", "-vf", to_pq, "-c:v", "libx264", "-color_trc", "smpte2084"),
        *("-colorspace", "bt2020nc", "-color_primaries", "bt2020", "-color_range", "tv"),
    )
    (clip,) = cut_up(path).clips
    (picture,) = read_frames(clip.path, [5], short_side=None)
    np.testing.assert_allclose(picture.mean((0, 1)), [0xC0, 0x40, 0x20], atol=12)


def test_damage_is_told_with_its_length(cut_odd, counted, make_video, tmp_path, cut_up):
    (warning,) = cut_odd("corrupted.mp4").warnings
    assert warning.startswith("corrupted.mp4: 2 of 50 frames are damaged: about 0.2 of 5.0 s")
    whole = make_video(tmp_path / "whole.mp4", "-i", str(counted), "-c", "copy", "-movflags", "faststart").read_bytes()
    half = tmp_path / "half.mp4"
    half.write_bytes(whole[: len(whole) // 2])
    result = cut_up(half)
    lost_seconds = 20.5 - result.clips[-1].stop_seconds - result.dropped_seconds
    assert 5 < lost_seconds < 15
    assert f"half.mp4: {lost_seconds:.1f} s are missing at the end; the header says 20.5 s" in result.warnings


def test_damage_in_a_small_share_of_the_memory_is_no_verdict(shared, ffmpeg, tmp_path):
    path = shared / "videos/odd/corrupted.mp4"
    held = look(path)

    def attempt(memory):
        return cut(path, held, tmp_path, SHORT, ffmpeg=ffmpeg, time_limit_seconds=240, memory=memory)

    for num_bytes in (40 << 20, 250 << 20):
        with pytest.raises(OutOfMemory, match=r"corrupted\.mp4: "):
            attempt(Memory(num_bytes, is_scarce=True))
    assert not list(tmp_path.iterdir())
    for is_scarce in (True, False):
        assert "are damaged" in attempt(Memory(1 << 30, is_scarce)).warnings[0]


def test_sound_that_fails_does_not_cost_the_picture(counted, without_aac, cut_up):
    result = cut_up(counted, program=without_aac)
    assert [(clip.num_frames, clip.has_audio) for clip in result.clips] == [(240, False), (240, False), (135, False)]
    assert result.warnings == ("counted.mp4: its sound does not decode and is left out",)


def test_damaged_sound_is_told(counted, make_video, tmp_path, cut_up):
    path = make_video(tmp_path / "noise.mkv", "-i", str(counted), "-c", "copy", "-bsf:a", "noise=amount=20")
    result = cut_up(path)
    assert sum(clip.num_frames for clip in result.clips) == 615
    assert len(result.warnings) == 1
    assert "packets of its sound that do not decode and are silent: " in result.warnings[0]


def test_a_picture_that_starts_late_stays_in_time_with_the_sound(counted, make_video, tmp_path, cut_up):
    late = ("-itsoffset", "1", "-i", str(counted), "-i", str(counted), "-map", "0:v", "-map", "1:a", "-c", "copy", "-t", "4")
    path = make_video(tmp_path / "late.mkv", *late)
    shown = greys(cut_up(path).clips[0].path)
    assert shown[0] == shown[28] != shown[40]


def test_ffmpeg_opens_nothing_but_the_video(counted, ffmpeg, tmp_path):
    (tmp_path / "inner.mp4").symlink_to(counted)
    playlist = tmp_path / "movie.mp4"
    playlist.write_text("ffconcat version 1.0\nfile inner.mp4\n")
    arguments = cut_arguments(playlist, look(counted), SHORT, None)
    with pytest.raises(BadVideo, match=r"movie\.mp4: "):
        run_ffmpeg(arguments, ffmpeg=ffmpeg, folder=tmp_path, time_limit_seconds=60, memory=undivided(), name=playlist.name)
    assert not list(tmp_path.glob("0*.mp4"))


def test_memory_does_not_grow_with_length(make_video, ffmpeg, tmp_path, cut_up):
    # Linux hands a peak on from the process that starts another: here from this small program, and not from pytest.
    program = script(
        tmp_path / "measured",
        "import os, subprocess, sys\n"
        f"child = subprocess.Popen([{str(ffmpeg)!r}, *sys.argv[1:]])\n"
        "_, status, usage = os.wait4(child.pid, 0)\n"
        f"open({str(tmp_path / 'peak')!r}, 'w').write(str(usage.ru_maxrss))\n"
        "sys.exit(os.waitstatus_to_exitcode(status))",
        interpreter=sys.executable,
    )
    short = make_video(
        tmp_path / "short.mp4",
        *("-f", "lavfi", "-i", "testsrc2=s=640x360:r=5:d=4", "-f", "lavfi", "-i", "sine=d=4", "-c:v", "libx264", "-preset", "ultrafast"),
    )
    # 240 frames of 337 KiB: were they kept, it would show.
    long = make_video(tmp_path / "long.mp4", "-stream_loop", "11", "-i", str(short), "-c", "copy")
    jump = ("-vf", "setpts=if(gt(N\\,10)\\,PTS+80/TB\\,PTS)", "-fps_mode", "passthrough", "-c:v", "libx264", "-preset", "ultrafast")
    gap = make_video(tmp_path / "gap.mkv", "-i", str(short), "-an", *jump)
    peaks_kib, num_frames = [], []
    for path in (short, long, gap):
        num_frames.append(sum(clip.num_frames for clip in cut_up(path, SegmentOptions(clip_seconds=4, fps=5), program).clips))
        peaks_kib.append(int((tmp_path / "peak").read_text()))
    assert num_frames == [20, 240, 420]
    assert max(peaks_kib[1:]) < 1.3 * peaks_kib[0]


@given(st.integers(32, 10_000), st.integers(32, 10_000), st.integers(128, 1080))
def test_a_clip_is_never_larger_than_its_video(width, height, short_side):
    w, h = clip_size(width, height, short_side)
    assert w % 2 == h % 2 == 0
    assert w <= width
    assert h <= height
    assert min(w, h) in {min(width, height, short_side), min(width, height, short_side) - 1}
    assert abs(w * height - h * width) <= 2 * max(width, height)


@given(
    st.builds(SegmentOptions, clip_seconds=st.floats(1, 60), fps=st.integers(5, 60), min_clip_seconds=st.floats(0.3, 60)),
    st.integers(1, 3600),
)
def test_a_rest_is_kept_when_it_lasts_long_enough(options, num_frames):
    assert is_kept(frames_per_clip(options), options)
    if num_frames < frames_per_clip(options) and abs(num_frames / options.fps - options.min_clip_seconds) > 1e-6:
        assert is_kept(num_frames, options) == (
            num_frames / options.fps >= min(options.min_clip_seconds, frames_per_clip(options) / options.fps)
        )
