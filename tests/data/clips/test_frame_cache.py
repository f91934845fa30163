"""Frames and optical flow of clips as networks get them: flow that does not decode is computed again, or its address is named."""

import logging

import numpy as np
import pytest

from tasks.data.clips.frame_cache import cache_test_frames, cache_train_frames
from tasks.data.clips.stored_flow import flow_uri
from tasks.errors import BadVideo
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import FlowOptions, Modality, TrainOptions
from tests.pipeline.shelf import Shelf

OPTIONS = FlowOptions(flow_method="dis")
SEES_FLOW = NetworkSpec(backbone="test_resnet", num_segments=2, modality=Modality.FLOW, flow=OPTIONS)


@pytest.fixture
def shelf(film_of, monkeypatch, tmp_path):
    monkeypatch.setenv("RETAKE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("RETAKE_NUM_PROCESSES", "1")
    return Shelf(film_of(0.4))


@pytest.fixture
def clips(shelf):
    """Two clips of 12 frames."""
    return [clip.model_copy(update={"num_frames": 12}) for clip in shelf.clips("a" * 64, 2)]


def test_a_clip_without_flow_is_left_out_of_training_by_name_and_never_out_of_a_test(shelf, clips, caplog):
    caplog.set_level(logging.WARNING)
    good, bad = clips
    shelf.write_bytes(bad.uri, b"no video")
    assert list(cache_train_frames(shelf, clips, SEES_FLOW, TrainOptions())) == [good.uid]
    told = next(record.getMessage() for record in caplog.records if "skipped in training" in record.getMessage())
    assert f"1 of 2 clips have no optical flow: {bad.uid}: " in told
    with pytest.raises(BadVideo, match=bad.uid):
        cache_test_frames(shelf, clips, SEES_FLOW)
    with pytest.raises(BadVideo, match="1 of 1 clips"):
        cache_train_frames(shelf, [bad], SEES_FLOW, TrainOptions())


def test_a_training_that_draws_no_frames_decodes_those_of_a_test_alone(shelf, clips):
    clips, spec = clips[:1], NetworkSpec(backbone="none", num_segments=2)
    tested = cache_test_frames(shelf, clips, spec)
    assert cache_train_frames(shelf, clips, spec, TrainOptions(train_frames="middle", frame_step=3)) == tested
    assert len(np.load(tested[clips[0].uid])) == 2
    assert len(np.load(cache_train_frames(shelf, clips, spec, TrainOptions(frame_step=3))[clips[0].uid])) == 4


@pytest.mark.slow
def test_damaged_flow_is_computed_again_and_said_to_be(shelf, clips, tmp_path, caplog):
    first = cache_test_frames(shelf, clips, SEES_FLOW, tmp_path / "first")
    uris = [flow_uri(clip.uri, OPTIONS) for clip in clips]
    whole = [shelf.objects[uri] for uri in uris]
    shelf.objects[uris[0]], shelf.objects[uris[1]] = whole[0][: len(whole[0]) // 2], b""
    again = cache_train_frames(shelf, clips, SEES_FLOW, TrainOptions())
    assert [shelf.objects[uri] for uri in uris] == whole
    assert np.load(again[clips[0].uid]).shape == (11, 256, 341, 2)
    for uri in uris:
        assert [message.startswith(f"{uri}: ") for message in caplog.messages if "recomputing this optical flow" in message].count(
            True
        ) == 1
    second = cache_test_frames(shelf, clips, SEES_FLOW, tmp_path / "second")
    for uid, path in first.items():
        np.testing.assert_array_equal(np.load(path), np.load(second[uid]))


def test_where_its_clip_is_damaged_too_both_reasons_and_the_address_are_told(shelf, clips):
    uri = flow_uri(clips[0].uri, OPTIONS)
    shelf.objects[uri] = shelf.objects[clips[0].uri] = b"no video"
    with pytest.raises(BadVideo, match=r"; its clip cannot be read to recompute it: 1 of 1 clips .* Delete the clips\.json") as raised:
        cache_test_frames(shelf, clips[:1], SEES_FLOW)
    assert str(raised.value).startswith(f"{uri}: damaged, or not a video")


def test_flow_that_is_as_wrong_when_it_was_computed_again_is_an_error(shelf, clips):
    wide = clips[0].model_copy(update={"width": 640})
    with pytest.raises(BadVideo, match="its frames are 341x256 pixels instead of 682x256") as raised:
        cache_test_frames(shelf, [wide], SEES_FLOW)
    assert str(raised.value).startswith(f"{flow_uri(wide.uri, OPTIONS)}: ")
