import csv
import itertools
import subprocess
from collections import Counter
from functools import cache
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.video.ffmpeg import find_ffmpeg
from tests.films.film import Film, Interval, frames, make_film
from tests.films.samples import ACTIONS, make_samples, plan

pytestmark = pytest.mark.slow

FFMPEG = str(find_ffmpeg(None))
TINY = {"seed": 5, "num_videos": 1, "video_seconds": 8, "ffmpeg": FFMPEG}


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("drawn") / "samples"
    make_samples(folder, seed=5, num_videos=2, video_seconds=17, ffmpeg=FFMPEG)
    return folder


def test_folder_holds_labels_and_small_h264_videos_with_sound(samples: Path):
    assert sorted(p.name for p in samples.iterdir()) == ["intervals.csv", "kitchen_01.mp4", "kitchen_02.mp4"]
    for path in samples.glob("*.mp4"):
        with av.open(str(path)) as container:
            video, audio = container.streams.video[0], container.streams.audio[0]
            assert (video.codec_context.name, video.width, video.height, video.pix_fmt) == ("h264", 320, 240, "yuv420p")
            assert (video.average_rate, video.frames) == (15, 255)
            assert audio.codec_context.name == "aac"
            sound = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio)])
            assert 0.05 < np.abs(sound).max() < 1


def test_label_table_names_each_full_clip_and_leaves_some_idle(samples: Path):
    with (samples / "intervals.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["video", "start_seconds", "stop_seconds", "verb", "noun"]
    for path in samples.glob("*.mp4"):
        spans = [(float(r["start_seconds"]), float(r["stop_seconds"])) for r in rows if r["video"] == path.name]
        assert len(spans) == 2
        assert 0 < spans[0][0] < spans[0][1] < spans[1][0] < spans[1][1] < 16
        for n, (start, stop) in enumerate(spans):
            assert min(stop, 8 * n + 8) - max(start, 8 * n) > 6


def test_the_default_is_five_clips_of_each_of_twelve_actions():
    films = plan()
    shown = [[(i.verb, i.noun) for i in film.intervals] for film in films]
    assert all(len(set(actions)) == 5 for actions in shown)
    assert Counter(action for actions in shown for action in actions) == dict.fromkeys(ACTIONS, 5)


@given(seed=st.integers(0, 2**31 - 1), num_videos=st.integers(2, 14), num_slots=st.integers(1, 12))
def test_actions_are_spread_evenly_and_each_is_in_two_videos(seed: int, num_videos: int, num_slots: int):
    films = plan(seed=seed, num_videos=num_videos, video_seconds=num_slots * 8)
    shown = [[(i.verb, i.noun) for i in film.intervals] for film in films]
    assert all(len(set(actions)) == num_slots for actions in shown)
    counts = Counter(action for actions in shown for action in actions)
    assert min(counts.values()) >= 2
    assert max(counts.values()) - min(counts.values()) <= 1
    for film in films:
        borders = [t for i in film.intervals for t in (i.start_seconds, i.stop_seconds)]
        assert borders == sorted(borders)
        assert all(i.stop_seconds - i.start_seconds > 5 for i in film.intervals)


def test_the_same_seed_gives_the_same_bytes_another_one_other_pictures_and_the_track_can_be_left_out(tmp_path: Path):
    for name, changes in (("first", {}), ("again", {}), ("silent", {"audio": False})):
        make_samples(tmp_path / name, **TINY, **changes)
    first, again, silent = (tmp_path / name / "kitchen_01.mp4" for name in ("first", "again", "silent"))
    assert first.read_bytes() == again.read_bytes()
    with av.open(str(silent)) as container:
        assert not container.streams.audio
    ours, others = (next(frames(plan(seed=seed, num_videos=1, video_seconds=8)[0])) for seed in (5, 6))
    assert np.any(ours != others)


@pytest.mark.parametrize("ffmpeg", ["/nonexistent/ffmpeg", "/bin/false"])
def test_an_ffmpeg_that_does_not_work_is_named(tmp_path: Path, ffmpeg: str):
    with pytest.raises((OSError, subprocess.CalledProcessError), match=ffmpeg):
        make_film(plan(num_videos=1, video_seconds=8)[0], ffmpeg, tmp_path)


@cache
def of_action(verb: str, noun: str) -> np.ndarray:
    film = Film("a.mp4", (3, 1), 4, (Interval(0.1, 3.9, verb, noun),), audio=False)
    return np.stack(list(frames(film)))


def test_every_frame_is_noisy_and_verbs_differ_without_their_order():
    shown = {verb: of_action(verb, "meat") for verb in ("put", "take", "move")}
    for film in shown.values():
        assert film.shape == (60, 240, 320, 3)
        assert all(np.any(before != after) for before, after in itertools.pairwise(film))
    averages = [film.mean(axis=0) for film in shown.values()]
    for verb, other in itertools.combinations(averages, 2):
        assert np.abs(verb - other).mean() > 10


def test_the_noun_is_seen_in_the_middle_of_most_frames():
    meat, sauce = (of_action("move", noun)[:, 40:200, 60:260].astype(np.int16) for noun in ("meat", "sauce"))
    differs = np.abs(meat - sauce).mean(axis=(1, 2, 3))
    assert np.mean(differs > 6) > 0.7
