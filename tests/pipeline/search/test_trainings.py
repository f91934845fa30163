"""Searches whose trainings are real, of the tiniest network on short films, in this process."""

import csv
import io
import json

import jsonschema
import pytest

from tasks.store.derived import trials_of_batch
from tasks.store.layout import Dataset, Layout
from tasks.store.records.search import ScoredTrial, Search, TrialBatch, TrialsResult
from tasks.store.run_layout import SearchPlan
from tests.pipeline.in_process import STORE
from tests.pipeline.search.conftest import INTERVALS, NAMES, SearchBench
from tests.pipeline.shelf import filmed

pytestmark = pytest.mark.slow

WHOLE = {
    "backbone": "test_resnet",
    "weights": "none",
    "num_segments": 2,
    "epochs": 1,
    "batch_size": 2,
    "learning_rate": 0.005,
    "trainable": "last-stage",
    "crops": 1,
    "frame_step": 5,
}
HEADS = WHOLE | {"trainable": "heads"}
RATES = {"search": ["learning_rate"], "ranges": ["learning_rate=1e-4..1e-2 log"]}


@pytest.fixture(scope="module")
def labelled_films(ffmpeg, tmp_path_factory):
    """Films in place of clips that nothing decodes."""
    film = filmed(ffmpeg, tmp_path_factory.mktemp("film") / "film.mp4", seconds=4).read_bytes()
    bench = SearchBench()
    for name in NAMES:
        bench.store.write_bytes(f"{STORE}/inbox/{name}", film + name.encode())
    bench.ingest()
    bench.annotate("intervals.csv", INTERVALS)
    bench.build()
    return bench


def searched(bench, **options):
    """Search by one command; return its numbers and the result of its report."""
    result = bench.run("search", preset="none", **{"folds": 0} | options)
    return bench.store.read(result.numbers_uri, Search), result


def first_batch(bench, **options):
    """Plan a search, and return what trains its only batch."""
    planned = bench.run("search_plan", **{"folds": 0} | options)
    (batch,) = bench.run("suggest", search=planned.search_uri, round=1).batches
    return {"search": planned.search_uri, "batch": batch.uri}


def test_a_failed_trial_fails_nothing_and_the_same_again_changes_nothing(bench):
    options = {"search": ["dropout", "backbone"], "ranges": ["dropout=0, 0.5", "backbone=test_resnet, no_such_network"], "rounds": 1}
    done, result = searched(bench, **HEADS | options, num_trials=4)
    assert {trial.values["backbone"]: bool(trial.failure) for trial in done.trials} == {"test_resnet": False, "no_such_network": True}
    assert all("no_such_network" in trial.failure for trial in done.trials if trial.failure)
    assert [(trial.options.seed, trial.options.views_seed, trial.values) for trial in done.bias.seeds] == [
        (seed, 0, done.trials[done.winner].values) for seed in (1, 2, 3)
    ]
    rows = list(csv.DictReader(io.StringIO(bench.store.read_bytes(result.table_uri).decode())))
    assert len(rows) == result.num_trials == 4
    scored = {key for trial in (*done.trials, *done.bias.seeds) for key in trial.run_keys}
    assert {(look.kind, look.split) for look in bench.looks()} == {("trial", "val")}
    assert {network for look in bench.looks() for network in look.networks} == scored
    assert float(rows[0]["action_top1"]) == done.trials[done.winner].scores["action"].top1
    schema = SearchPlan(done.plan.search_uri).report.schema
    jsonschema.validate(json.loads(bench.store.read_bytes(result.numbers_uri)), json.loads(bench.store.read_bytes(schema)))
    page = bench.store.read_bytes(result.report_uri).decode()
    assert all(text in page for text in ("Luck of the best", "What mattered", "<svg", "backbone"))
    before = dict(bench.store.objects)
    searched(bench, **HEADS | options, num_trials=4)
    assert bench.store.objects == before


def test_a_training_of_retrain_is_found_and_not_repeated(bench):
    start = f"{STORE}/pretrained/choices/x/"
    bench.run("weights", out=start, **{name: value for name, value in WHOLE.items() if name != "crops"})
    planned = bench.run("plan", weights_result=start, **WHOLE)
    bench.run("train", plan=f"{planned.decision_uri}plan/")
    before = bench.under("runs")
    batch = first_batch(bench, **WHOLE | RATES, num_trials=1, rounds=1)
    bench.run("train_trials", **batch)
    trial = bench.store.read(trials_of_batch(batch["batch"]).trial(0))
    assert trial.was_found
    assert trial.run_keys == (planned.run_key,)
    assert bench.under("runs").items() - before.items() == {
        (uri := Layout(STORE).run(planned.run_key).validation(1).uri, bench.store.objects[uri])
    }


def test_trials_that_were_trained_before_a_kill_are_kept_and_failed_ones_tried_again(bench):
    options = HEADS | {"search": ["batch_size", "num_segments"], "ranges": ["batch_size=1, 2", "num_segments=1, 2"], "rounds": 1}
    batch = first_batch(bench, **options, num_trials=4)
    trials = trials_of_batch(batch["batch"])
    failed = bench.store.read(batch["batch"], TrialBatch).trials[1]
    failed = ScoredTrial(number=1, round=1, values=failed.values, options=failed.options, failure="MLflow denies access")
    bench.store.write(trials.trial(1), failed)
    bench.store.write(trials, TrialsResult(num_trials=4, num_failed=1))
    assert bench.run("train_trials", **batch) == TrialsResult(num_trials=4, num_failed=0)
    trained = dict(bench.store.objects)
    assert len({bench.store.read(trials.trial(number)).loss for number in range(4)}) == 4
    assert not any(bench.store.read(trials.trial(number)).was_found for number in range(4))
    for uri in (trials.trial(2).uri, trials.uri):
        bench.store.remove(uri)
    bench.run("train_trials", **batch)
    assert bench.store.objects == trained


def test_trials_in_folds_are_scored_on_the_clips_that_each_left_out_and_timed(bench):
    options = {"search": ["dropout"], "ranges": ["dropout=0, 0.5"], "rounds": 1, "folds": 2}
    done, result = searched(bench, **HEADS | options, num_trials=2, objectives="accuracy and latency")
    held_out = [clip.uid for uri in done.plan.fold_uris for clip in bench.val_of(Dataset(uri))]
    assert done.num_clips == len(held_out) == len(set(held_out))
    assert all(len(trial.run_keys) == len(trial.fold_top1) == 2 and trial.latency_seconds > 0 for trial in done.trials)
    best = done.trials[done.winner].scores["action"].top1
    assert max(done.trials[number].scores["action"].top1 for number in done.pareto) == best
    assert done.bias.corrected + done.bias.optimism == pytest.approx(best)
    assert "latency" in bench.store.read_bytes(result.report_uri).decode()
    assert {look.split for look in bench.looks()} == {"train"}, "val has chosen nothing"
    assert result.retrain["dataset"] == done.plan.dataset_uri
    assert result.retrain["preset"] == "none", "auto would replace what the winner has of the form's own values"
