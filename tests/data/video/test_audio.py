"""Sound is read in step with the picture, whatever the track is like."""

import av
import numpy as np
import pytest

from tasks.data.video.audio import decode_audio
from tasks.errors import BadVideo
from tasks.options import SegmentOptions
from tasks.store.records.video import SoundState
from tests.data.video.conftest import cut_into

PICTURE = ("-f", "lavfi", "-i", "color=s=64x48:r=30:d=3")
ENCODED = ("-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-pix_fmt", "yuv420p")
MAPPED = ("-map", "0", "-map", "1", "-map", "2")
RATES = (16_000, 24_000, 44_100)


def clicks(layout, rate, seconds=3):
    """A click of 10 ms half a second into each second, in all channels."""
    channels = {"mono": 1, "stereo": 2, "5.1": 6}[layout]
    expression = "|".join(["if(between(mod(t\\,1)\\,0.5\\,0.51)\\,0.5\\,0)"] * channels)
    return "-f", "lavfi", "-i", f"aevalsrc={expression}:c={layout}:s={rate}:d={seconds}"


def onsets(samples, rate):
    loud = np.flatnonzero(np.abs(samples) > 0.2) / rate
    return [float(loud[0]), *loud[1:][np.diff(loud) > 0.5].tolist()] if len(loud) else []


@pytest.mark.parametrize(("layout", "rate"), [("stereo", 48_000), ("mono", 8_000), ("5.1", 96_000)])
def test_a_click_is_heard_when_it_is_seen_at_every_rate(make_video, tmp_path, layout, rate):
    clip = make_video(tmp_path / "clip.mp4", *PICTURE, *clicks(layout, rate), *ENCODED, "-c:a", "aac", "-b:a", "192k")
    heard = decode_audio(clip, RATES)
    assert heard.seconds == 3
    assert heard.reason == ""
    assert heard.num_seconds == pytest.approx(3, abs=0.01)
    for wanted in RATES:
        samples = heard.samples[wanted]
        assert samples.shape == (3 * wanted,)
        assert samples.dtype == np.float32
        assert onsets(samples, wanted) == pytest.approx([0.5, 1.5, 2.5], abs=0.002)
        assert np.abs(samples).max() == pytest.approx(0.5, abs=0.12)


@pytest.mark.parametrize(("layout", "rate"), [("stereo", 44_100), ("5.1", 96_000)])
def test_cut_clips_keep_their_sound_in_step(make_video, tmp_path, layout, rate):
    picture = ("-f", "lavfi", "-i", "color=s=64x48:r=30:d=6")
    video = make_video(tmp_path / "video.mp4", *picture, *clicks(layout, rate, 6), *ENCODED, "-c:a", "aac", "-b:a", "192k")
    clips = cut_into(tmp_path, video, SegmentOptions(clip_seconds=3)).clips
    assert [clip.has_audio for clip in clips] == [True, True]
    for clip in clips:
        heard = decode_audio(clip.path, (24_000,))
        assert heard.seconds == 3
        assert onsets(heard.samples[24_000], 24_000) == pytest.approx([0.5, 1.5, 2.5], abs=0.003)


@pytest.mark.parametrize(
    ("suffix", "offset_seconds", "seconds", "heard_seconds", "clicks_at", "reason"),
    [
        ("mkv", 1.5, 1.5, 1.5, [2], "its sound begins 1.5 s after the picture; before is silence"),
        ("mp4", 0, 1.2, 1.2, [0.5], "its sound ends 1.8 s before the picture; behind is silence"),
        ("mp4", 0, 6, 3, [0.5, 1.5, 2.5], ""),
    ],
    ids=["late", "ends early", "goes on"],
)
def test_a_track_is_heard_in_step_with_the_picture_and_is_as_long(
    make_video, tmp_path, suffix, offset_seconds, seconds, heard_seconds, clicks_at, reason
):
    track = ("-itsoffset", str(offset_seconds), *clicks("mono", 48_000, seconds), *ENCODED, "-c:a", "flac" if suffix == "mkv" else "aac")
    heard = decode_audio(make_video(tmp_path / f"clip.{suffix}", *PICTURE, *track), (24_000,))
    assert (heard.reason, heard.state) == (reason, SoundState.HEARD)
    assert heard.num_seconds == pytest.approx(heard_seconds, abs=0.03)
    samples = heard.samples[24_000]
    assert samples.shape == (72_000,)
    assert onsets(samples, 24_000) == pytest.approx(clicks_at, abs=0.01)
    if seconds == 1.2:
        assert not samples[36_000:].any()


def test_a_gap_is_silent_and_the_sound_behind_it_stays_in_step(make_video, tmp_path):
    apart = tmp_path / "apart.mkv"
    whole = make_video(tmp_path / "whole.mkv", *PICTURE, *clicks("mono", 48_000), *ENCODED, "-c:a", "pcm_s16le")
    with av.open(str(whole)) as source, av.open(str(apart), "w") as target:
        streams = {stream.index: target.add_stream_from_template(stream) for stream in source.streams}
        for packet in source.demux():
            late = packet.pts is not None and packet.stream.type == "audio" and 0.7 < packet.pts * packet.time_base < 1.8
            if packet.size and not late:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    heard = decode_audio(apart, (24_000,))
    assert onsets(heard.samples[24_000], 24_000) == pytest.approx([0.5, 2.5], abs=0.003)
    assert heard.num_seconds == pytest.approx(1.9, abs=0.1)


def test_the_last_samples_before_a_gap_are_kept(make_video, tmp_path):
    first = make_video(tmp_path / "first.mkv", "-f", "lavfi", "-i", "sine=f=1000:r=48000:d=1", "-c:a", "pcm_s16le")
    parted = make_video(
        tmp_path / "parted.mkv", *PICTURE, "-i", str(first), "-itsoffset", "2", "-i", str(first), *MAPPED, *ENCODED, "-c:a", "pcm_s16le"
    )
    with av.open(str(parted)) as source, av.open(str(tmp_path / "gap.mkv"), "w") as target:
        picture, tones = source.streams.video[0], source.streams.audio
        streams = {picture.index: target.add_stream_from_template(picture)}
        streams |= dict.fromkeys((tone.index for tone in tones), target.add_stream_from_template(tones[0]))
        for packet in source.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                target.mux(packet)
    samples = decode_audio(tmp_path / "gap.mkv", (24_000,)).samples[24_000]
    loud = np.flatnonzero(np.abs(samples) > 0.01) / 24_000
    assert loud[loud < 1.5].max() == pytest.approx(1, abs=0.0002)
    assert loud[loud > 1.5].min() == pytest.approx(2, abs=0.002)


def test_a_clip_without_a_track_is_silence_and_says_so(make_video, tmp_path):
    heard = decode_audio(make_video(tmp_path / "clip.mp4", *PICTURE, *ENCODED), RATES)
    assert (heard.num_seconds, heard.reason, heard.state) == (None, "it has no sound track", SoundState.NO_TRACK)
    assert not any(samples.any() for samples in heard.samples.values())
    assert {rate: len(samples) for rate, samples in heard.samples.items()} == {rate: 3 * rate for rate in RATES}


def test_a_damaged_track_is_silent_where_it_does_not_decode(make_video, tmp_path):
    clip = make_video(tmp_path / "clip.mp4", *PICTURE, *clicks("mono", 48_000), *ENCODED, "-c:a", "aac", "-b:a", "192k")
    with av.open(str(clip)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(audio=0) if packet.size]
    data = bytearray(clip.read_bytes())
    for pos, size in places[40:80]:
        data[pos : pos + size] = b"\xff" * size
    clip.write_bytes(data)
    heard = decode_audio(clip, (24_000,))
    assert "packets of its sound that do not decode and are silent: " in heard.reason
    assert onsets(heard.samples[24_000], 24_000)[-1] == pytest.approx(2.5, abs=0.01)
    for pos, size in places:
        data[pos : pos + size] = b"\xff" * size
    clip.write_bytes(data)
    heard = decode_audio(clip, (24_000,))
    assert heard.reason.startswith("its sound does not decode (")
    assert heard.state is SoundState.UNREADABLE


@pytest.mark.parametrize("num_channels", [8, 17, 70])
def test_any_number_of_channels_is_heard_or_explained(make_video, tmp_path, num_channels):
    """PyAV lays eight planes or more beyond its own bounds; the resampler refuses more than 64 channels."""
    raw = tmp_path / "raw"
    raw.write_bytes(np.full((24_000, num_channels), 8_192, np.int16).tobytes())
    track = ("-f", "s16le", "-ar", "8000", "-ac", str(num_channels), "-i", str(raw))
    heard = decode_audio(make_video(tmp_path / "many.mkv", *PICTURE, *track, *ENCODED, "-c:a", "pcm_s16le"), RATES)
    if num_channels > 64:
        assert (heard.state, heard.reason) == (SoundState.UNREADABLE, "its sound does not decode (Invalid argument)")
        assert not any(samples.any() for samples in heard.samples.values())
    else:
        assert (heard.state, heard.reason) == (SoundState.HEARD, "")
        assert all(np.allclose(samples[1000:-1000], 0.25, atol=0.001) for samples in heard.samples.values())


def test_a_file_without_a_picture_or_of_an_hour_is_refused(make_video, tmp_path):
    sound = make_video(tmp_path / "sound.m4a", *clicks("mono", 48_000), "-c:a", "aac")
    with pytest.raises(BadVideo, match=r"sound\.m4a: it has no picture"):
        decode_audio(sound, (24_000,))
    hour = make_video(tmp_path / "hour.mkv", "-f", "lavfi", "-i", "color=s=16x16:r=1/300:d=3600", *ENCODED)
    with pytest.raises(BadVideo, match="sound is read from clips of up to 600 s"):
        decode_audio(hour, (24_000,))
