"""Frames and flow of clips as networks get them: damaged flow is computed again, or its address is named; the next clips are decoded ahead."""

import logging

import numpy as np
import pytest

from tasks.data.clips import frame_cache
from tasks.data.clips.flow_and_sound import flow_uri
from tasks.data.clips.frame_cache import CHUNK_CLIPS, CHUNK_FRAMES, FramesAhead, cache_test_frames, cache_train_frames
from tasks.errors import BadVideo
from tasks.keys import frames_made_by
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import FlowOptions, Modality, TrainOptions
from tests.pipeline.shelf import Shelf

SPEC = NetworkSpec(backbone="test_resnet", num_segments=2)
SOUND = NetworkSpec(backbone="log-mel", modality=Modality.SOUND)

OPTIONS = FlowOptions(flow_method="dis")
SEES_FLOW = NetworkSpec(backbone="test_resnet", num_segments=2, modality=Modality.FLOW, flow=OPTIONS)


@pytest.fixture
def shelf(film_of, monkeypatch, tmp_path):
    monkeypatch.setenv("RETAKE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("RETAKE_NUM_PROCESSES", "1")
    return Shelf(film_of(1))


@pytest.fixture
def clips(shelf):
    return shelf.clips("a" * 64, 2)


def test_a_bad_clip_costs_itself_and_its_error_is_its_own(shelf, tmp_path, monkeypatch):
    monkeypatch.setattr(frame_cache, "CHUNK_CLIPS", 4)
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
    monkeypatch.setattr(frame_cache, "CHUNK_CLIPS", 2)
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
    monkeypatch.setattr(frame_cache, "CHUNK_FRAMES", chunk_frames)
    monkeypatch.setattr(FramesAhead, "_decode", lambda self, clips, root: decoded.append(len(clips)))
    clips = [clip.model_copy(update={"num_frames": num_frames}) for clip in shelf.clips("a" * 64, sum(sizes))]
    decoded = []
    with FramesAhead(shelf, clips, specs, further=lambda clip, spec: tuple(range(num_further))) as ahead:
        ahead._start(len(clips))
        for job in ahead._jobs:
            job.result()
    assert decoded == sizes


def test_a_clip_without_flow_is_left_out_of_training_by_name_and_never_out_of_a_test(shelf, clips, caplog):
    caplog.set_level(logging.WARNING)
    good, bad = clips
    shelf.write_bytes(bad.uri, b"no video")
    assert list(cache_train_frames(shelf, clips, SEES_FLOW, TrainOptions())) == [good.uid]
    told = next(record.getMessage() for record in caplog.records if "skipped in training" in record.getMessage())
    assert f"1 of 2 clips has no optical flow: {bad.uid}: " in told
    with pytest.raises(BadVideo, match=bad.uid):
        cache_test_frames(shelf, clips, SEES_FLOW)
    with pytest.raises(BadVideo, match="1 of 1 clip has"):
        cache_train_frames(shelf, [bad], SEES_FLOW, TrainOptions())


def test_a_training_that_draws_no_frames_decodes_those_of_a_test_alone(shelf, clips):
    clips, spec = clips[:1], NetworkSpec(backbone="none", num_segments=2)
    tested = cache_test_frames(shelf, clips, spec)
    assert cache_train_frames(shelf, clips, spec, TrainOptions(train_frames="middle", frame_step=3)) == tested
    assert len(np.load(tested[clips[0].uid])) == 2
    assert len(np.load(cache_train_frames(shelf, clips, spec, TrainOptions(frame_step=3))[clips[0].uid])) == 10


@pytest.mark.slow
def test_damaged_flow_is_computed_again_and_said_to_be(shelf, clips, tmp_path, caplog):
    first = cache_test_frames(shelf, clips, SEES_FLOW, tmp_path / "first")
    uris = [flow_uri(clip.uri, OPTIONS) for clip in clips]
    whole = [shelf.objects[uri] for uri in uris]
    shelf.objects[uris[0]], shelf.objects[uris[1]] = whole[0][: len(whole[0]) // 2], b""
    again = cache_train_frames(shelf, clips, SEES_FLOW, TrainOptions())
    assert [shelf.objects[uri] for uri in uris] == whole
    assert np.load(again[clips[0].uid]).shape == (29, 256, 341, 2)
    for uri in uris:
        assert sum(message.startswith(f"{uri}: ") for message in caplog.messages if "recomputing this optical flow" in message) == 1
    second = cache_test_frames(shelf, clips, SEES_FLOW, tmp_path / "second")
    for uid, path in first.items():
        np.testing.assert_array_equal(np.load(path), np.load(second[uid]))


def test_where_its_clip_is_damaged_too_both_reasons_and_the_address_are_told(shelf, clips):
    uri = flow_uri(clips[0].uri, OPTIONS)
    shelf.objects[uri] = shelf.objects[clips[0].uri] = b"no video"
    with pytest.raises(BadVideo, match=r"; its clip cannot be read to recompute it: 1 of 1 clip .* Delete the clips\.json") as raised:
        cache_test_frames(shelf, clips[:1], SEES_FLOW)
    assert str(raised.value).startswith(f"{uri}: damaged, or not a video")


@pytest.mark.slow
def test_flow_that_is_as_wrong_when_it_was_computed_again_is_an_error(shelf, clips):
    wide = clips[0].model_copy(update={"width": 640})
    with pytest.raises(BadVideo, match="its frames are 341x256 pixels instead of 682x256") as raised:
        cache_test_frames(shelf, [wide], SEES_FLOW)
    assert str(raised.value).startswith(f"{flow_uri(wide.uri, OPTIONS)}: ")
