"""Clips around intervals: which parts of a video they are, and that they show the frames and play the sound of their time."""

import math
import random
from fractions import Fraction

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.video.child import undivided
from tasks.data.video.cut import FrameSpan, cut_spans, interval_spans, spans_across
from tasks.errors import BadVideo
from tasks.options import SegmentOptions
from tests.data.video.conftest import cut_into, look
from tests.data.video.test_cut import greys

OPTIONS = SegmentOptions(clip_seconds=8, fps=10)

pytestmark = pytest.mark.slow

HALF_SECONDS = SegmentOptions(min_clip_seconds=0.5)


@pytest.mark.parametrize(
    ("intervals", "video_seconds", "expected"),
    [
        ([(20, 28)], 60, [(20, 28)]),
        ([(22, 24)], 60, [(19, 27)]),
        ([(0, 2)], 60, [(0, 8)]),
        ([(57, 60)], 60, [(52, 60)]),
        ([(50, 90)], 60, [(50, 58), (52, 60)]),
        ([(10, 34)], 60, [(10, 18), (18, 26), (26, 34)]),
        ([(10, 27)], 60, [(10, 18), (14.5, 22.5), (19, 27)]),
        ([(60, 70)], 60, []),
        ([(5, 5)], 60, []),
        ([(1, 2), (3, 4)], 5, [(0, 5)]),
    ],
)
def test_parts_of_intervals_in_seconds(intervals, video_seconds, expected):
    spans = interval_spans(intervals, video_seconds, OPTIONS)
    assert [(span.start_frame / 10, (span.start_frame + span.num_frames) / 10) for span in spans] == expected


def test_of_equal_parts_that_of_the_longest_interval_remains():
    assert interval_spans([(23, 25), (22, 26), (23.5, 24.5)], 60, OPTIONS) == [FrameSpan(200, 80, (22, 26))]


times = st.floats(0, 100, allow_nan=False)
many = st.lists(st.tuples(times, times).map(sorted).map(tuple), max_size=6)


@given(many, st.floats(0.5, 90), st.floats(1, 20), st.randoms())
def test_parts_lie_in_the_video_and_cover_their_intervals(intervals, video_seconds, clip_seconds, random):
    options = SegmentOptions(clip_seconds=clip_seconds, fps=10)
    spans = interval_spans(intervals, video_seconds, options)
    num_video_frames, num_frames = int(video_seconds * 10 + 1e-6), round(clip_seconds * 10)
    assert all(0 <= span.start_frame <= span.start_frame + span.num_frames <= num_video_frames for span in spans)
    assert {span.num_frames for span in spans} <= {min(num_frames, num_video_frames)}
    starts = [span.start_frame for span in spans]
    assert starts == sorted(set(starts))
    covered = {frame for span in spans for frame in range(span.start_frame, span.start_frame + span.num_frames)}
    for start, stop in intervals:
        # A frame belongs to an interval that covers its whole time; at the ends of a part, rounding may leave one out.
        inside = range(int(start * 10) + 2, min(int(stop * 10), num_video_frames) - 1)
        assert set(inside) <= covered
    shuffled = list(intervals)
    random.shuffle(shuffled)
    assert interval_spans(shuffled, video_seconds, options) == spans


@pytest.mark.parametrize(
    ("interval", "start_frame"),
    [((58, 62), 560), ((59.9, 65), 584), ((50, 75), 560), ((59, 60.2), 556), ((59.5, 67), 592), ((59.95, 68), 560)],
    ids=["middle", "later", "too long", "earlier", "longer", "a frame too long"],
)
def test_a_part_across_the_end_shows_its_interval_and_both_videos(interval, start_frame):
    assert spans_across([(*interval, "next")], 60, OPTIONS) == [FrameSpan(start_frame, 80, interval, "next")]


def test_of_equal_parts_across_the_end_that_of_the_longest_interval_remains_and_a_short_video_has_none():
    intervals = [(59, 61, "next"), (58, 62, "next")]
    assert [span.interval for span in spans_across(intervals, 60, OPTIONS)] == [(58, 62)]
    assert spans_across([(3, 6, "next")], 3.9, OPTIONS) == []


@pytest.fixture
def cut_parts(ffmpeg, tmp_path):
    def cut_parts(path, *parts, options=HALF_SECONDS, time_limit_seconds=240):
        limits = {"ffmpeg": ffmpeg, "time_limit_seconds": time_limit_seconds, "memory": undivided()}
        return cut_spans(path, look(path), tmp_path, options, spans=[FrameSpan(*part, (0, 0)) for part in parts], **limits)

    return cut_parts


def test_each_frame_is_the_one_of_its_time(counted, cut_parts):
    drawn = random.Random(0)  # noqa: S311 - not a secret
    starts = [0, 1, 29, 30, 31, 555, *(drawn.randrange(555) for _ in range(2))]
    result = cut_parts(counted, *((start, 60) for start in starts), options=SegmentOptions(crf=1))
    assert [(clip.index, clip.num_frames, round(clip.start_seconds * 30)) for clip in result.clips] == [
        (index, 60, start) for index, start in enumerate(starts)
    ]
    for start, clip in zip(starts, result.clips, strict=True):
        shown = np.array(greys(clip.path))
        np.testing.assert_allclose(shown * 219 / 255 + 16, 20 + 7 * np.arange(start, start + 60) % 200, atol=1.5)


@pytest.mark.parametrize(
    "name",
    [
        "long/nasa_13013.mp4",
        "odd/vfr_real.mp4",
        *(pytest.param(name, marks=pytest.mark.long) for name in ("long/big_buck_bunny_0_30.webm", "odd/fps5994.mp4")),
    ],
)
def test_real_videos_are_cut_as_on_the_grid(name, shared, make_video, tmp_path, cut_parts):
    """Frames of the neighbouring time would be further away; so would sound that is late."""
    path, options = shared / "videos" / name, SegmentOptions(clip_seconds=2, crf=5)
    if name.startswith("long/"):
        path = make_video(tmp_path / path.name, "-i", str(path), "-t", "7", "-map", "0:v", "-map", "0:a", "-c", "copy")
    grid = cut_into(tmp_path, path, options).clips[:3]
    clips = cut_parts(path, *((round(clip.start_seconds * 30), clip.num_frames) for clip in grid), options=options).clips
    for on_grid, clip in zip(grid, clips, strict=True):
        expected, shown = frames_of(on_grid.path), frames_of(clip.path)
        away = [np.abs(expected[2:-2] - shown[2 + shift : len(shown) - 2 + shift]).mean() for shift in (-1, 0, 1)]
        assert len(expected) == len(shown)
        assert away[1] == min(away)
        assert away[1] < 2
        if on_grid.has_audio:
            # A clip of the grid begins with a whole packet of sound, up to 21 ms late.
            assert abs(lag_samples(sound_of(on_grid.path), sound_of(clip.path))) <= 1024


@pytest.fixture
def cut_across(ffmpeg, tmp_path):
    def cut_across(path, next_path, seconds, **options):
        """Cut a clip with its middle where one chapter ends and the next begins."""
        chosen = SegmentOptions(clip_seconds=seconds, min_clip_seconds=0.5, **options)
        held = look(path)
        border = held.duration_seconds
        spans = spans_across([(border - 0.1, border + 0.1, "next")], border, chosen)
        limits = {"ffmpeg": ffmpeg, "time_limit_seconds": 240, "memory": undivided()}
        return cut_spans(path, held, tmp_path, chosen, spans=spans, following=(next_path, look(next_path)), **limits)

    return cut_across


def chapters_of(path, folder, make_video):
    """Part a film at key frames, without encoding it again, as a camera parts a recording."""
    parted = ("-f", "segment", "-segment_time", "4", "-reset_timestamps", "1", "-segment_start_number", "1")
    make_video(folder / "GX%02d0123.mp4", "-i", str(path), "-map", "0:v:0", "-map", "0:a:0?", "-c", "copy", *parted)
    return sorted(folder.glob("GX*.mp4"))


@pytest.mark.parametrize("rate", ["24", "60000/1001"])
def test_a_clip_across_chapters_shows_and_plays_the_same_as_a_clip_of_the_unparted_film(rate, make_video, tmp_path, cut_across, cut_parts):
    """The sound of the first chapter begins before its picture, so the second and the third are cut."""
    path = make_video(
        tmp_path / "film.mp4",
        *("-f", "lavfi", "-i", f"testsrc2=s=64x48:r={rate}:d=13", "-f", "lavfi", "-i", "aevalsrc=0.5*sin(2000*t*t):s=48000:d=13"),
        *("-c:v", "libx264", "-preset", "veryfast", "-g", "48", "-keyint_min", "48", "-sc_threshold", "0", "-pix_fmt", "yuv420p"),
        *("-c:a", "aac"),
    )
    first, second, third, *_ = chapters_of(path, tmp_path, make_video)
    (clip,) = cut_across(second, third, 2, crf=5).clips
    before = sum(look(file).duration_seconds for file in (first, second))
    (expected,) = cut_parts(path, (round(before * 30) - 30, 60), options=SegmentOptions(clip_seconds=2, crf=5)).clips
    np.testing.assert_allclose(frames_of(clip.path), frames_of(expected.path), atol=1)
    assert rate_of(clip.path) == rate_of(expected.path)
    sounds = sound_of(expected.path), sound_of(clip.path)
    assert len(sounds[0]) == len(sounds[1])
    # A packet of sound has 1024 samples.
    assert all(abs(lag_samples(*(sound[half:] for sound in sounds))) <= 1024 for half in (0, 40_000))


def test_a_clip_across_chapters_is_left_out_where_anything_is_missing(counted, make_video, tmp_path, cut_across):
    first, second, *_ = chapters_of(counted, tmp_path, make_video)
    lacks_end = tmp_path / "GX010124.mkv"
    whole = make_video(tmp_path / "whole.mkv", "-i", str(first), "-an", "-c", "copy").read_bytes()
    lacks_end.write_bytes(whole[: len(whole) * 95 // 100])
    assert cut_across(first, second, 2).clips[0].has_audio
    with pytest.raises(BadVideo, match=r"frames? (is|are) missing where its recording goes on"):
        cut_across(lacks_end, second, 2)
    with pytest.raises(BadVideo, match=r"frames? (is|are) missing where its recording goes on"):
        cut_across(first, make_video(tmp_path / "short.mp4", "-i", str(second), "-t", "0.5", "-c", "copy"), 2)


H264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", "3", "-x264-params", "open-gop=1:b-pyramid=normal:scenecut=0")
MPEG2 = ("-c:v", "mpeg2video", "-q:v", "3", "-bf", "2", "-sc_threshold", "1000000000")
VP8 = ("-c:v", "libvpx", "-deadline", "realtime", "-cpu-used", "8", "-b:v", "1M", "-auto-alt-ref", "0")
REFRESHED = (*H264[:4], "-x264-params", "intra-refresh=1:scenecut=0")
STAYING = ("-vf", "select=not(mod(n\\,168))", "-fps_mode", "passthrough", *H264)

NUM_SIDE, SQUARE_PIXELS, FILM_SECONDS = 8, 8, 30


@pytest.mark.parametrize(
    ("suffix", "rate", "key_seconds", "codec"),
    [
        ("ts", "24", 24, H264),
        ("ts", "30000/1001", 12, REFRESHED),
        ("mpg", "30000/1001", 24, MPEG2),
        ("flv", "30000/1001", 24, H264),
        ("mp4", "24", 2, STAYING),
        ("ogv", "25", 12, VP8),
        *(pytest.param(*film, marks=pytest.mark.long) for film in (("mkv", "60", 24, H264), ("webm", "24", 12, VP8))),
    ],
)
def test_frames_are_those_of_the_grid_wherever_key_frames_are(suffix, rate, key_seconds, codec, make_video, tmp_path, cut_parts):
    (tmp_path / "drawn.gray").write_bytes(drawn_squares(FILM_SECONDS * math.ceil(Fraction(rate))))
    num_frames = str(round(Fraction(rate) * key_seconds))
    path = make_video(
        tmp_path / f"film.{suffix}",
        *("-f", "rawvideo", "-s", f"{NUM_SIDE * SQUARE_PIXELS}x{NUM_SIDE * SQUARE_PIXELS}", "-pix_fmt", "gray"),
        *("-r", rate, "-t", str(FILM_SECONDS)),
        *("-i", str(tmp_path / "drawn.gray"), *codec, "-pix_fmt", "yuv420p", "-g", num_frames, "-keyint_min", num_frames),
    )
    options = SegmentOptions(clip_seconds=60, crf=5, min_clip_seconds=0.5)
    (whole,) = cut_into(tmp_path, path, options).clips
    expected = squares_of(whole.path)
    starts = (0, 7, 355, 719, 721)
    clips = cut_parts(path, *((start, 30) for start in starts), options=options).clips
    for start, clip in zip(starts, clips, strict=True):
        np.testing.assert_allclose(squares_of(clip.path), expected[start : start + 30], atol=30)


def drawn_squares(num_frames):
    """Draw grey frames of squares; a few change from frame to frame, so that no two frames are alike."""
    random_squares = np.random.default_rng(0)
    squares = random_squares.integers(0, 2, NUM_SIDE**2, dtype=np.uint8)
    frames = np.empty((num_frames, NUM_SIDE, NUM_SIDE), np.uint8)
    for frame in frames:
        squares[random_squares.choice(NUM_SIDE**2, 5, replace=False)] ^= 1
        frame[:] = squares.reshape(NUM_SIDE, NUM_SIDE) * 180 + 40
    return frames.repeat(SQUARE_PIXELS, axis=1).repeat(SQUARE_PIXELS, axis=2).tobytes()


def squares_of(path):
    return frames_of(path).reshape(-1, NUM_SIDE, SQUARE_PIXELS, NUM_SIDE, SQUARE_PIXELS).mean(axis=(2, 4))


def frames_of(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="gray8") for frame in container.decode(video=0)]).astype(np.int16)


def rate_of(path):
    with av.open(str(path)) as container:
        return container.streams.video[0].average_rate, container.streams.video[0].time_base


def sound_of(path):
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])


def lag_samples(sound, other):
    part = sound[10_000:50_000]
    scores = [float(part @ other[10_000 + lag : 50_000 + lag]) for lag in range(-4000, 4001, 8)]
    return 8 * int(np.argmax(scores)) - 4000


def test_sound_begins_where_the_part_begins(make_video, tmp_path, cut_parts):
    """Silence for 5 s, then a tone."""
    path = make_video(
        tmp_path / "tone.mp4",
        *("-f", "lavfi", "-i", "color=c=gray:s=64x64:r=30:d=10"),
        *("-f", "lavfi", "-i", "sine=f=440:r=48000:d=10,volume='gt(t,5)':eval=frame"),
        *("-c:v", "libx264", "-c:a", "aac"),
    )
    (clip,) = cut_parts(path, (100, 120)).clips
    loud = np.abs(sound_of(clip.path)) > 0.02
    assert np.argmax(loud) / 48_000 == pytest.approx(5 - 100 / 30, abs=0.06)


def test_same_bytes_again(counted, cut_parts):
    first, second = ([clip.sha256 for clip in cut_parts(counted, (7, 30), (300, 30)).clips] for _ in range(2))
    assert first == second


def test_a_part_beyond_the_last_frame_is_left_out_with_the_reason(counted, cut_parts):
    result = cut_parts(counted, (0, 60), (605, 60), (700, 60))
    assert [clip.index for clip in result.clips] == [0]
    assert "20.17 to 20.50 s is shorter than the minimum" in result.warnings[0]
    assert "nothing of 23.33 to 25.33 s decodes" in result.warnings[1]
    with pytest.raises(BadVideo, match="nothing of"):
        cut_parts(counted, (700, 60))


def test_a_video_without_a_time_limit_left_is_stopped(counted, tmp_path, cut_parts):
    with pytest.raises(BadVideo, match="took longer than 0 s"):
        cut_parts(counted, (0, 60), time_limit_seconds=0)
    assert not any(tmp_path.iterdir())
