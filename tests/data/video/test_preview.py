from pathlib import Path

import av
import numpy as np
import pytest

from tasks.data.video.audio import decode_audio
from tasks.data.video.child import undivided
from tasks.data.video.preview import Captioned, caption, write_film
from tasks.data.video.probe import probe
from tasks.errors import BadVideo, Unavailable

HOSTILE = "put'meat\\:%{eif:1}\n[in];drawtext=text=x,\x00 é ж <b>"


@pytest.fixture(scope="module")
def clips(tmp_path_factory, make_video):
    """Two clips of 12 grey frames."""
    folder, drawn = tmp_path_factory.mktemp("clips"), "color=gray:s=160x128:r=30:d=0.4,format=yuv420p"
    return [make_video(folder / f"{number}.mp4", "-f", "lavfi", "-i", f"{drawn}{ending}") for number, ending in enumerate(("", ",negate"))]


def decoded(path):
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]).astype(int)


def film_of(tmp_path, clips, *lines, name="film.mp4"):
    path = tmp_path / name
    write_film([Captioned(clip, own) for clip, own in zip(clips, lines, strict=True)], path, fps=30)
    return path


def test_the_words_are_under_the_picture_and_nowhere_else(tmp_path, clips):
    blank, told = (
        decoded(film_of(tmp_path, clips, *lines, name=f"{number}.mp4"))
        for number, lines in enumerate([(("", ""), ("", "")), (("put meat 62 %", "take bag"), ("", ""))])
    )
    assert told.shape == (24, 128 + caption(("", ""), 160).shape[0], 160, 3)
    assert np.abs(told[:12, 128:] - blank[:12, 128:]).max() > 150
    assert np.abs(told[:, :120] - blank[:, :120]).max() < 10
    assert np.abs(told[12:, 128:] - blank[12:, 128:]).max() < 10


def test_the_film_is_what_players_show_with_no_track_of_mute_clips_and_the_same_bytes_again(tmp_path, clips):
    film = film_of(tmp_path, clips, ("a",), ("b",))
    found = probe(film, max_seconds=100, memory=undivided())
    assert (found.codec, found.pixel_format, found.fps, found.width, found.has_audio) == ("h264", "yuv420p", 30, 160, False)
    assert found.duration_seconds == pytest.approx(0.8, abs=0.05)
    assert film.read_bytes() == film_of(tmp_path, clips, ("a",), ("b",), name="again.mp4").read_bytes()


def test_every_line_differs_and_a_long_one_is_cut_at_the_edge():
    assert not np.array_equal(caption(("put meat",), 160), caption(("put meal",), 160))
    assert caption(("a", "b", "c"), 160).shape[0] % 2 == 0
    long = caption(("put meat " * 50,), 160)
    assert long.shape == caption(("a",), 160).shape
    assert (long[:, -4:] == long[0, 0]).all()


def test_the_film_has_the_sound_of_its_clips_in_step_with_the_picture(tmp_path, make_video):
    picture, tracks = ("-f", "lavfi", "-i", "color=gray:s=160x128:r=30:d=1.1"), ((500,), (), (4000,))
    clips = [
        make_video(
            tmp_path / f"{number}.mp4",
            *(*picture, *(word for hertz in track for word in ("-f", "lavfi", "-i", f"sine=frequency={hertz}:d=1.1", "-c:a", "aac"))),
            *("-pix_fmt", "yuv420p"),
        )
        for number, track in enumerate(tracks)
    ]
    film = film_of(tmp_path, clips, *[("a",)] * 3)
    assert len(decoded(film)) == 99
    heard = decode_audio(film, (48_000,))
    assert heard.seconds == pytest.approx(3.3, abs=0.01)
    within = [heard.samples[48_000][round(first * 48_000) :][:24_000] for first in (0.3, 1.4, 2.5)]
    spectra = [np.abs(np.fft.rfft(part * np.hanning(len(part)))) for part in within]
    assert [2 * int(spectra[i].argmax()) for i in (0, 2)] == [500, 4000]
    assert np.abs(within[1]).max() < 0.01 < np.abs(within[0]).max()
    assert film.read_bytes() == film_of(tmp_path, clips, *[("a",)] * 3, name="again.mp4").read_bytes()


def test_hostile_words_are_pixels(tmp_path, clips):
    assert decoded(film_of(tmp_path, clips[:1], (HOSTILE,))).shape[0] == 12


def test_a_clip_that_is_none_is_named(tmp_path, clips):
    (tmp_path / "broken.mp4").write_bytes(clips[0].read_bytes()[:900])
    with pytest.raises(BadVideo, match="broken"):
        film_of(tmp_path, [tmp_path / "broken.mp4"], ("a",))
    with pytest.raises(BadVideo, match="no clip"):
        write_film([], tmp_path / "film.mp4", fps=30)


def test_a_full_disk_is_no_fault_of_a_clip(clips):
    with pytest.raises(Unavailable, match="No space left"):
        write_film([Captioned(clip, ("a",)) for clip in clips], Path("/dev/full"), fps=30)
