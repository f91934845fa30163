"""Trials of a search share what depends on the network alone, and are scored by the clips that cover a clip."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadDataset
from tasks.keys import content_key
from tasks.options import TrainOptions, Weights
from tasks.pipeline.search import _fold_trainings
from tasks.pipeline.search._fold_trainings import FoldTrainings
from tasks.pipeline.search._rounds import covering
from tasks.store.records.search import Trial
from tasks.store.records.video import ClipRecord
from tests.data.labels.records import clip_record
from tests.judge.search.trials import clip

TRAIN = TrainOptions(backbone="test_resnet", num_segments=2, weights=Weights.NONE)


@pytest.fixture
def trainings(bench, tmp_path):
    options = TRAIN.model_dump(mode="json", include={"backbone", "num_segments", "weights"})
    plan = bench.run("search_plan", search=["num_segments"], objectives="accuracy and latency", crops=1, folds=0, **options)
    return FoldTrainings(plan, bench.store, tmp_path)


def trial(number, **values):
    return Trial(number=number, values=values, options=TRAIN.model_copy(update=values))


def test_trials_of_one_network_start_from_the_same_weights_and_have_runs_of_their_own(trainings):
    first, second, other = (
        trainings.of(trial(number, **values))[0] for number, values in enumerate(({}, {"dropout": 0.5}, {"num_segments": 3}))
    )
    assert len({part.run.folder_uri for part in (first, second, other)}) == 3
    assert first.weights == second.weights != other.weights


def test_the_latency_of_a_network_is_measured_once(trainings, monkeypatch):
    measured = []
    monkeypatch.setattr(_fold_trainings, "clip_seconds", lambda network, *_: measured.append(network.spec) or 0.5)
    asked = [{"dropout": 0.5}, {}, {"mirror": False}, {"num_segments": 3}]
    parts = [trainings.of(trial(number, **values))[0] for number, values in enumerate(asked)]
    assert [trainings.latency_seconds(part) for part in parts] == [0.5] * 4
    assert [spec.num_segments for spec in measured] == [2, 3]
    keys = {content_key(spec.model_dump(mode="json")) for spec in measured}
    place = f"{trainings.plan.search_uri}latency/"
    assert {uri for uri in trainings.store.objects if uri.startswith(place)} == {f"{place}{key}.json" for key in keys}


def test_networks_of_shorter_clips_take_their_time_for_each_clip_that_they_cover(trainings, monkeypatch):
    monkeypatch.setattr(_fold_trainings, "clip_seconds", lambda *_: 0.5)
    (part,) = trainings.of(trial(0))
    shorter = replace(part, trial=part.trial.model_copy(update={"values": {"clip_seconds": trainings.plan.clip_seconds / 4}}))
    assert trainings.latency_seconds(shorter) == 4 * trainings.latency_seconds(part)


def cut(clip_seconds: float, video_seconds: float) -> list[ClipRecord]:
    starts = [clip_seconds * i for i in range(int(video_seconds / clip_seconds))]
    return [clip_record("v", start_seconds=start, stop_seconds=start + clip_seconds) for start in starts]


@given(clip_seconds=st.sampled_from([1, 2, 3, 4, 8, 16]), index=st.integers(0, 5))
def test_the_clips_of_another_length_cover_each_second_of_a_clip_once(clip_seconds, index):
    covered = covering(clip(start_seconds=8 * index, stop_seconds=8 * index + 8), cut(clip_seconds, 96))
    assert sum(seconds for _, seconds in covered) == pytest.approx(8)
    assert all(0 < seconds <= min(8, clip_seconds) for _, seconds in covered)
    assert all(part.start_seconds < 8 * index + 8 and part.stop_seconds > 8 * index for part, _ in covered)


def test_a_clip_that_none_of_another_length_covers_is_named():
    with pytest.raises(BadDataset, match="no clip of this length covers a"):
        covering(clip(start_seconds=96, stop_seconds=98), cut(4, 96))
