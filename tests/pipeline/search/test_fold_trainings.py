"""Trials of a search share what does not depend on their sampling window."""

import pytest

from tasks.keys import content_key
from tasks.learn.networks.network import weights_sha256
from tasks.options import TrainOptions, Weights
from tasks.pipeline._checkpoints import fetch_network
from tasks.pipeline.search import _fold_trainings
from tasks.pipeline.search._fold_trainings import FoldTrainings
from tasks.store.records.search import Trial

TRAIN = TrainOptions(backbone="test_resnet", num_segments=2, weights=Weights.NONE)


@pytest.fixture
def trainings(bench, tmp_path):
    options = TRAIN.model_dump(mode="json", include={"backbone", "num_segments", "weights"})
    plan = bench.run("search_plan", search=["sampling_window"], objectives="accuracy and latency", crops=1, folds=0, **options)
    return FoldTrainings(plan, bench.store, tmp_path)


def trial(number, **values):
    return Trial(number=number, values=values, options=TRAIN.model_copy(update=values))


def test_windows_have_starts_of_the_same_weights_and_runs_of_their_own(trainings, tmp_path):
    whole, half, shorter = (
        trainings.of(trial(number, **values))[0]
        for number, values in enumerate(({}, {"sampling_window": 0.5}, {"sampling_window": 0.5, "dropout": 0.5}))
    )
    assert len({part.run.folder_uri for part in (whole, half, shorter)}) == 3
    assert half.weights == shorter.weights
    first, second = (fetch_network(trainings.store, part.weights.uri, part.weights.sha256, tmp_path).network for part in (whole, half))
    assert weights_sha256(first) == weights_sha256(second)
    assert (first.spec.sampling_window, second.spec.sampling_window) == (1, 0.5)


def test_the_latency_of_a_network_is_measured_once_for_all_windows(trainings, monkeypatch):
    measured = []
    monkeypatch.setattr(_fold_trainings, "clip_seconds", lambda network, *_: measured.append(network.spec) or 0.5)
    asked = [{"sampling_window": window} for window in (0.5, 1, 0.25)] + [{"num_segments": 3}]
    parts = [trainings.of(trial(number, **values))[0] for number, values in enumerate(asked)]
    assert [trainings.latency_seconds(part) for part in parts] == [0.5] * 4
    assert [spec.num_segments for spec in measured] == [2, 3]
    keys = {content_key(spec.model_copy(update={"sampling_window": 1}).model_dump(mode="json")) for spec in measured}
    place = f"{trainings.plan.search_uri}latency/"
    assert {uri for uri in trainings.store.objects if uri.startswith(place)} == {f"{place}{key}.json" for key in keys}
