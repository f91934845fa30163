"""Which head `plan` recommends where training clips are few."""

import pytest

from tasks.options import TrainOptions
from tasks.steps.retrain._few_clips import FEW_CLIPS, advice
from tests.steps.retrain.test_estimate import manifest


@pytest.mark.parametrize("num_clips", [1, FEW_CLIPS - 1])
def test_a_probe_is_recommended_for_few_clips_with_the_reason(num_clips):
    said = advice(TrainOptions(), manifest(num_clips, 0).clips)
    assert said.startswith("head: probe is recommended for")
    assert "no epochs" in said
    assert "\n" not in said


@pytest.mark.parametrize(("family", "options"), [("TRN", "with family=TSN and trainable=heads:"), ("TSM", ", with trainable=heads:")])
def test_a_probe_is_recommended_with_the_options_that_it_needs(family, options):
    assert options in advice(TrainOptions(family=family), manifest(9, 0).clips)


def test_what_a_probe_cannot_see_is_named():
    put, take = manifest(2, 0).clips
    said = advice(TrainOptions(), [put, take.model_copy(update={"verb": "take"})])
    assert said.endswith("but cannot tell put from take by the order of frames; compare it with head tcn")


@pytest.mark.parametrize("num_clips", [0, FEW_CLIPS])
def test_nothing_is_recommended_for_many_clips_or_none(num_clips):
    assert advice(TrainOptions(), manifest(num_clips, 0).clips) is None


def test_whoever_fits_a_probe_is_told_that_it_suits():
    said = advice(TrainOptions(head="probe", trainable="heads"), manifest(9, 0).clips)
    assert said == "head: probe, as recommended for 9 training clips of 1 source video"
