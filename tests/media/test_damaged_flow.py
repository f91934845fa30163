"""Optical flow in the store that does not decode: it is computed again, and where that cannot be, its address is named."""

import numpy as np
import pytest

from tasks.errors import BadVideo
from tasks.media.frame_cache import cache_test_frames, cache_train_frames
from tasks.media.stored_flow import flow_uri
from tasks.model.spec import NetworkSpec
from tasks.options import FlowOptions, Modality, TrainOptions
from tests.steps.shelf import Shelf, filmed

pytestmark = pytest.mark.slow

OPTIONS = FlowOptions(flow_method="dis")
SEES_FLOW = NetworkSpec(backbone="test_resnet", num_segments=2, modality=Modality.FLOW, flow=OPTIONS)


@pytest.fixture(scope="module")
def film(ffmpeg, tmp_path_factory):
    return filmed(ffmpeg, tmp_path_factory.mktemp("film") / "clip.mp4", seconds=0.4).read_bytes()


@pytest.fixture
def shelf(film, monkeypatch, tmp_path):
    monkeypatch.setenv("RETAKE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("RETAKE_NUM_PROCESSES", "1")
    return Shelf(film)


@pytest.fixture
def clips(shelf):
    """Two clips of 12 frames."""
    return [clip.model_copy(update={"num_frames": 12}) for clip in shelf.clips("a" * 64, 2)]


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
