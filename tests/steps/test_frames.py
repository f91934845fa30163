import logging

import pytest

from tasks.errors import BadVideo
from tasks.model.spec import NetworkSpec
from tasks.options import FlowOptions, Modality
from tasks.steps._frames import cache_test_frames, cache_train_frames
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
    assert list(cache_train_frames(shelf, clips, SEES_FLOW, frame_step=1)) == [good.uid]
    told = next(record.getMessage() for record in caplog.records if "left out of training" in record.getMessage())
    assert f"1 of 2 clips have no optical flow: {bad.uid}: " in told
    with pytest.raises(BadVideo, match=bad.uid):
        cache_test_frames(shelf, clips, SEES_FLOW)
    with pytest.raises(BadVideo, match="1 of 1 clips"):
        cache_train_frames(shelf, [bad], SEES_FLOW, frame_step=1)
