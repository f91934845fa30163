"""Trials of a search share what depends on the network alone."""

import pytest

from tasks.keys import content_key
from tasks.options import TrainOptions, Weights
from tasks.pipeline.search import train_trials
from tasks.store.records.search import Trial

TRAIN = TrainOptions(backbone="test_resnet", num_segments=2, weights=Weights.NONE)


@pytest.fixture
def trainings(bench, tmp_path):
    options = TRAIN.model_dump(mode="json", include={"backbone", "num_segments", "weights"})
    plan = bench.run("search_plan", search=["num_segments"], objectives="accuracy and latency", crops=1, folds=0, **options)
    return train_trials.FoldTrainings(plan, bench.store, tmp_path)


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
    monkeypatch.setattr(train_trials, "clip_seconds", lambda network, *_: measured.append(network.spec) or 0.5)
    asked = [{"dropout": 0.5}, {}, {"mirror": False}, {"num_segments": 3}]
    parts = [trainings.of(trial(number, **values))[0] for number, values in enumerate(asked)]
    assert [trainings.latency_seconds(part) for part in parts] == [0.5] * 4
    assert [spec.num_segments for spec in measured] == [2, 3]
    keys = {content_key(spec.model_dump(mode="json")) for spec in measured}
    place = f"{trainings.plan.search_uri}latency/"
    assert {uri for uri in trainings.store.objects if uri.startswith(place)} == {f"{place}{key}.json" for key in keys}
