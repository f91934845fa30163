import logging

import numpy as np
import pytest

from tasks.errors import BadVideo
from tasks.media.frame_cache import cache_test_frames, cache_train_frames
from tasks.model.spec import NetworkSpec
from tasks.options import FlowOptions, Modality, TrainOptions
from tests.steps.shelf import Shelf, filmed

SEES_FLOW = NetworkSpec(backbone="test_resnet", num_segments=2, modality=Modality.FLOW, flow=FlowOptions(flow_method="dis"))


@pytest.fixture
def shelf(ffmpeg, monkeypatch, tmp_path):
    monkeypatch.setenv("RETAKE_CACHE_DIR", str(tmp_path / "cache"))
    return Shelf(filmed(ffmpeg, tmp_path / "clip.mp4").read_bytes())


def test_a_clip_without_flow_is_left_out_of_training_by_name_and_never_out_of_a_test(shelf, caplog):
    caplog.set_level(logging.WARNING)
    good, bad = clips = shelf.clips("a" * 64, 2)
    shelf.write_bytes(bad.uri, b"no video")
    assert list(cache_train_frames(shelf, clips, SEES_FLOW, TrainOptions())) == [good.uid]
    told = next(record.getMessage() for record in caplog.records if "skipped in training" in record.getMessage())
    assert f"1 of 2 clips have no optical flow: {bad.uid}: " in told
    with pytest.raises(BadVideo, match=bad.uid):
        cache_test_frames(shelf, clips, SEES_FLOW)
    with pytest.raises(BadVideo, match="1 of 1 clips"):
        cache_train_frames(shelf, [bad], SEES_FLOW, TrainOptions())


def test_a_training_that_draws_no_frames_decodes_those_of_a_test_alone(shelf):
    clips, spec = shelf.clips("a" * 64, 1), NetworkSpec(backbone="none", num_segments=2)
    tested = cache_test_frames(shelf, clips, spec)
    assert cache_train_frames(shelf, clips, spec, TrainOptions(train_frames="middle", frame_step=3)) == tested
    assert len(np.load(tested[clips[0].uid])) == 2
    assert len(np.load(cache_train_frames(shelf, clips, spec, TrainOptions(frame_step=3))[clips[0].uid])) == 10
