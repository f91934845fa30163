"""What keeps its name in the store, and what gets another."""

import pytest

from tasks import keys
from tasks.errors import BadConfiguration
from tasks.keys import clip_recipe_of, configuration_key, flow_recipe_of, frames_made_by, installed, recipe_of
from tasks.options import FlowOptions, SegmentOptions, TrainOptions

DIS = FlowOptions(flow_method="dis")


@pytest.fixture
def opencv(monkeypatch):
    """Pretend that this version of OpenCV is installed."""
    return lambda version: monkeypatch.setattr(keys, "installed", {keys.OPENCV: version}.__getitem__)


def test_a_way_of_cutting_keeps_the_name_that_stores_know_it_by():
    assert recipe_of(SegmentOptions()) == "e8c88a8e61233664"


def test_clips_are_named_for_the_options_and_the_ffmpeg():
    options = SegmentOptions(), SegmentOptions(crf=21)
    names = {clip_recipe_of(one, version) for one in options for version in ("7.0.2-static", "7.1.5-0+deb13u1")}
    assert len(names | {recipe_of(one) for one in options}) == 6


def test_flow_keeps_its_name_but_under_another_opencv(opencv):
    opencv("5.0.0.93")
    first = flow_recipe_of(FlowOptions()), flow_recipe_of(DIS)
    assert first == ("7d83fe2c57bf60a9", "c1e9f416d54760c8")
    opencv("5.1.0.95")
    second = flow_recipe_of(FlowOptions()), flow_recipe_of(DIS)
    assert len({*first, *second}) == 4


def test_frames_are_named_for_what_is_installed():
    av, pillow = pytest.importorskip("av"), pytest.importorskip("PIL")
    assert frames_made_by() == f"av-{av.__version__}-pillow-{pillow.__version__}"


def test_a_package_that_is_not_there_is_named():
    with pytest.raises(BadConfiguration, match="no-such-package is not installed"):
        installed("no-such-package")


def test_segments_and_crops_do_not_change_the_key_of_a_video_network():
    plain = TrainOptions(family="3D", backbone="r3d_18")
    assert configuration_key(plain) == configuration_key(
        plain.model_copy(update={"num_segments": 3, "validation_crops": 10, "frame_step": 2})
    )
    assert configuration_key(plain) != configuration_key(plain.model_copy(update={"sampling_window": 0.5}))
