"""What keeps its name in the store, and what gets another."""

from tasks.keys import clip_recipe_of, recipe_of
from tasks.options import SegmentOptions


def test_a_way_of_cutting_keeps_the_name_that_stores_know_it_by():
    assert recipe_of(SegmentOptions()) == "e8c88a8e61233664"


def test_clips_are_named_for_the_options_and_the_ffmpeg():
    options = SegmentOptions(), SegmentOptions(crf=21)
    names = {clip_recipe_of(one, version) for one in options for version in ("7.0.2-static", "7.1.5-0+deb13u1")}
    assert len(names | {recipe_of(one) for one in options}) == 6
