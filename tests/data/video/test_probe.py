import json
import resource
from dataclasses import asdict
from datetime import UTC, datetime
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.data.video import probe as probing
from tasks.data.video.child import Memory, undivided
from tasks.data.video.inspection import MAX_CAMERA_LENGTH, camera, displayed_size, recorded_at
from tasks.data.video.probe import count_frames, probe
from tasks.errors import BadVideo, OutOfMemory, Unavailable
from tests.data.video.conftest import look
from tests.data.video.hostile import blank, claiming_a_frame_of, claiming_samples


def test_tells_the_camera_and_the_start_that_a_file_names(make_video, patterned, tmp_path):
    tags = [part for tag in ("make=GoPro\n=1", "model=HERO9", "creation_time=2026-05-01T12:00:00Z") for part in ("-metadata", tag)]
    video = look(make_video(tmp_path / "a.mp4", "-i", str(patterned), "-c", "copy", "-movflags", "use_metadata_tags", *tags))
    assert (video.camera, video.recorded_at) == ("GoPro =1 HERO9", datetime(2026, 5, 1, 12, tzinfo=UTC))
    assert (look(patterned).camera, look(patterned).recorded_at) == (None, None)


@pytest.mark.parametrize("time", ["1904-01-01T00:00:00Z", "1970-01-01T00:00:00.000000Z", "2026-02-30T00:00:00Z", "2026-05-01", "9" * 100])
def test_an_implausible_time_is_none(time):
    assert recorded_at({"creation_time": time}) is None


@pytest.mark.parametrize(
    ("tags", "name"),
    [
        ({"com.apple.quicktime.make": "Apple", "com.apple.quicktime.model": "iPhone 15"}, "Apple iPhone 15"),
        ({"MAKE": "Sony", "MODEL": "SONY FDR-X3000"}, "SONY FDR-X3000"),
        ({"make": "Sony"}, None),
        ({"model": " \x00\u202e "}, None),
        ({"model": "x" * 100_000}, "x" * MAX_CAMERA_LENGTH),
    ],
)
def test_a_camera_is_plain_text_of_few_characters(tags, name):
    assert camera(tags) == name


@pytest.fixture(scope="module")
def held(counted):
    return look(counted)


def test_tells_codec_size_rate_length_and_sound(held):
    assert (held.codec, held.pixel_format, held.width, held.height, held.rotation_degrees) == ("h264", "yuv420p", 96, 64, 0)
    assert held.fps == pytest.approx(30, rel=0.01)
    assert held.duration_seconds == pytest.approx(20.5, abs=0.1)
    assert held.has_audio


@pytest.mark.parametrize(
    "changes",
    [{"camera": "a\n"}, {"camera": "x" * 100}, {"recorded_at": "1970-01-01T00:00:00+00:00"}, {"recorded_at": "now"}, {"width": "x"}],
)
def test_an_answer_that_a_child_did_not_clean_is_refused(counted, held, monkeypatch, changes):
    answer = {"probe": asdict(held) | changes}
    monkeypatch.setattr(probing, "INSPECT", ("-c", f"print('ready', flush=True); print({json.dumps(answer)!r})"))
    with pytest.raises(BadVideo, match="cannot be determined"):
        look(counted)


@pytest.mark.parametrize(
    ("name", "size", "rotation_degrees"),
    [
        ("video_0.mov", (568, 320), 0),
        ("video_90.mov", (320, 568), 90),
        ("video_180.mov", (568, 320), 180),
        ("video_270.mov", (320, 568), 270),
        ("rotated90_remux.mp4", (256, 427), 270),  # and its pixels are 64:51
    ],
)
def test_size_is_that_of_the_upright_picture(shared, name, size, rotation_degrees):
    video = look(shared / "videos" / "odd" / name)
    assert ((video.width, video.height), video.rotation_degrees) == (size, rotation_degrees)


def test_measures_a_length_that_the_header_does_not_tell(shared):
    assert look(shared / "videos/odd/no_duration.webm").duration_seconds == pytest.approx(4.94, abs=0.05)


def test_takes_the_larger_of_two_videos_and_its_sound(shared):
    video = look(shared / "videos/long/nasa_13013.mp4")
    assert (video.width, video.height, video.video_index, video.audio_index) == (480, 270, 3, 4)


REFUSED = {
    "truncated_no_moov.mp4": r"no index \(moov\)",
    "garbage.mp4": "damaged, or not a video",
    "zero_byte.mp4": "the file is empty",
    "audio_only.m4a": "no video stream, only audio",
    "with-attached-pic.mp3": "a cover picture is not a video",
    "bitmap.mp4": "1x1 pixels are too few",
    "-video-with-dash-.mp4": "1x1 pixels are too few",
}
"""Odd files that no later step sees."""


@pytest.mark.parametrize(("name", "words"), REFUSED.items())
def test_a_reason_that_a_person_understands(shared, name, words):
    with pytest.raises(BadVideo, match=f"^{name}: .*{words}"):
        look(shared / "videos" / "odd" / name)


@pytest.mark.parametrize("name", ["zero_byte.mp4", "truncated_no_moov.mp4", "audio_only.m4a"])
def test_frames_of_a_file_without_any_are_not_counted(shared, name):
    with pytest.raises(BadVideo, match=name):
        count_frames(shared / "videos" / "odd" / name, memory=undivided())


def test_as_many_frames_are_counted_as_can_be_read(small, tmp_path):
    (tmp_path / "small.mp4").write_bytes(small)
    assert count_frames(tmp_path / "small.mp4", memory=undivided()) == 30


def test_names_that_look_like_options_or_protocols(counted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("-i.mp4", "concat:a|b.mp4", "100%d.mp4", "http:x.mp4"):
        Path(name).symlink_to(counted)
        assert look(Path(name)).width == 96


@pytest.mark.slow
def test_a_picture_that_needs_more_memory_is_told_from_one_that_does_not_decode(counted, make_video, tmp_path):
    drawn = ["-f", "lavfi", "-i", "color=gray:s=6144x4096:r=5:d=0.4", "-c:v", "mjpeg", "-pix_fmt", "yuvj444p"]
    large = make_video(tmp_path / "large.avi", *drawn)
    for is_scarce in (True, False):
        with pytest.raises(OutOfMemory, match=r"large\.avi: "):
            probe(large, max_seconds=60, memory=Memory(60 << 20, is_scarce))
    assert look(large).width == 6144
    (tmp_path / "blank.mp4").write_bytes(blank(counted.read_bytes()))
    with pytest.raises(BadVideo, match="does not decode") as raised:
        look(tmp_path / "blank.mp4")
    assert not isinstance(raised.value, OutOfMemory)
    with pytest.raises(OutOfMemory, match="does not decode"):
        probe(tmp_path / "blank.mp4", max_seconds=60, memory=Memory(1 << 30, is_scarce=True))


@pytest.mark.parametrize("change", [lambda mp4: claiming_samples(mp4, 89_000_000), lambda mp4: claiming_a_frame_of(mp4, 0x3FFFFFFF)])
def test_an_index_that_claims_more_than_there_is_costs_no_memory_of_ours(small, tmp_path, change):
    path = tmp_path / "a.mp4"
    path.write_bytes(change(small))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for ask in (look, lambda path: count_frames(path, memory=undivided())):
        with pytest.raises(BadVideo, match=r"^a\.mp4: "):
            ask(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


@pytest.mark.parametrize(
    ("code", "error", "told"),
    [
        ("print('ready', flush=True); import os; os.abort()", OutOfMemory, r"counted\.mp4: reading it crashes.*-6"),
        ("import nothing_of_that_name", Unavailable, r"does not start .*nothing_of_that_name"),
    ],
)
def test_a_child_that_crashes_is_told_from_one_that_does_not_start(counted, monkeypatch, code, error, told):
    monkeypatch.setattr(probing, "INSPECT", ("-c", code))
    with pytest.raises(error, match=told):
        look(counted)


def test_longer_than_allowed(counted):
    with pytest.raises(BadVideo, match=r"0\.3 minutes long; at most 0\.2 are allowed"):
        probe(counted, max_seconds=12, memory=undivided())


@pytest.mark.parametrize(
    "text",
    [
        "ffconcat version 1.0\nfile inner.mp4\n",  # would open without the white list
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nhttp://127.0.0.1:9/a.ts\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    ],
    ids=["concat", "hls", "hls over http", "sdp"],
)
def test_a_playlist_is_no_video(counted, tmp_path, text):
    (tmp_path / "inner.mp4").symlink_to(counted)
    path = tmp_path / "movie.mp4"
    path.write_text(text)
    with pytest.raises(BadVideo, match="not a video in a supported format"):
        look(path)


@given(
    st.integers(32, 8192), st.integers(32, 8192), st.sampled_from([None, Fraction(1), Fraction(64, 51)]), st.sampled_from([0, 90, 180, 270])
)
def test_four_quarter_turns_give_the_picture_back(width, height, aspect, degrees):
    upright = displayed_size(width, height, aspect, 0)
    assert displayed_size(width, height, aspect, degrees) == (upright[::-1] if degrees in (90, 270) else upright)
