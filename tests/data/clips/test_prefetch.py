import threading

import numpy as np
import pytest

from tasks.data.clips import frame_cache, prefetch
from tasks.data.clips.prefetch import CHUNK_CLIPS, CHUNK_FRAMES, FramesAhead
from tasks.errors import BadVideo
from tasks.judge.statistics.scoring import NUM_PREFETCHED, each_scored
from tasks.keys import frames_made_by
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import Modality
from tests.pipeline.shelf import Shelf

SPEC = NetworkSpec(backbone="test_resnet", num_segments=2)
SOUND = NetworkSpec(backbone="test_resnet", modality=Modality.SPECTROGRAM)


@pytest.fixture
def shelf(film_of, monkeypatch, tmp_path):
    monkeypatch.setenv("RETAKE_CACHE_DIR", str(tmp_path / "cache"))
    return Shelf(film_of(1))


def test_a_bad_clip_costs_itself_and_its_error_is_its_own(shelf, tmp_path, monkeypatch):
    monkeypatch.setattr(prefetch, "CHUNK_CLIPS", 4)
    clips = shelf.clips("a" * 64, 6)
    shelf.write_bytes(clips[2].uri, b"no video")
    shelf.remove(clips[5].uri)
    with FramesAhead(shelf, clips, [SPEC]) as ahead:
        for number in (0, 1, 3, 4):
            assert [frames.shape for frames in ahead.load(clips[number])] == [(2, 256, 341, 3)]
        with pytest.raises(BadVideo, match=clips[2].uri):
            ahead.wait(clips[2])
        with pytest.raises(Exception, match=clips[5].uri):
            ahead.load(clips[5])
    assert len(list((tmp_path / "cache/frames").rglob("*.npy"))) == 4


def test_a_passing_folder_holds_three_chunks_at_most_and_is_gone_afterwards(shelf, tmp_path, monkeypatch):
    monkeypatch.setattr(prefetch, "CHUNK_CLIPS", 2)
    clips = shelf.clips("a" * 64, 9)
    held = []
    with frame_cache.passing_frames() as folder:
        with FramesAhead(shelf, clips, [SPEC, SPEC], folder) as ahead:
            for clip in clips:
                first, second = ahead.load(clip)
                np.testing.assert_array_equal(first, second)
                held.append(len(list(folder.glob(f"*/{frames_made_by()}/*.npy"))))
        assert list(folder.iterdir()) == []
        assert 2 <= max(held) <= 6
    assert list((tmp_path / "cache/frames").iterdir()) == []


def test_loaded_frames_are_those_of_a_few_clips_whatever_their_number(shelf, monkeypatch):
    clips = shelf.clips("a" * 64, CHUNK_CLIPS // 2)
    alive = most = 0
    full = threading.Event()

    class Counted:
        def __init__(self, frames):
            nonlocal alive, most
            self.frames = frames
            alive += 1
            most = max(most, alive)
            if alive > NUM_PREFETCHED:
                full.set()

        def __del__(self):
            nonlocal alive
            alive -= 1

    with frame_cache.passing_frames() as folder, FramesAhead(shelf, clips, [SPEC], folder) as ahead:
        for _ in each_scored(clips, lambda clip: Counted(ahead.load(clip)), lambda loaded: full.wait(60)):
            pass
    assert full.is_set()
    assert most <= NUM_PREFETCHED + 2


@pytest.mark.parametrize(
    ("specs", "num_further", "chunk_frames", "num_frames", "sizes"),
    [
        ([SPEC], 0, 60, 30, [5]),
        ([SPEC], 28, 60, 30, [2, 2, 1]),
        ([SPEC, SPEC], 13, 60, 30, [2, 2, 1]),
        ([SPEC], 100, 60, 30, [1] * 5),
        ([NetworkSpec(backbone="r3d_18")], 0, 60, 30, [4, 1]),
        ([SOUND], 0, 60, 30, [5]),
        ([SPEC.model_copy(update={"num_segments": 64})], 0, CHUNK_FRAMES, 240, [CHUNK_CLIPS, 8]),
        ([SPEC.model_copy(update={"num_segments": 8})], 232, CHUNK_FRAMES, 240, [8] * 5),
        ([SPEC.model_copy(update={"num_segments": 8})] * 2, 232, CHUNK_FRAMES, 240, [4] * 10),
    ],
)
def test_a_chunk_has_the_fewer_clips_the_more_frames_are_taken_of_each(
    shelf, monkeypatch, specs, num_further, chunk_frames, num_frames, sizes
):
    monkeypatch.setattr(prefetch, "CHUNK_FRAMES", chunk_frames)
    monkeypatch.setattr(FramesAhead, "_decode", lambda self, clips, root: decoded.append(len(clips)))
    clips = [clip.model_copy(update={"num_frames": num_frames}) for clip in shelf.clips("a" * 64, sum(sizes))]
    decoded = []
    with FramesAhead(shelf, clips, specs, further=lambda clip, spec: tuple(range(num_further))) as ahead:
        ahead._start(len(clips))
        for job in ahead._jobs:
            job.result()
    assert decoded == sizes
