"""A search in rounds: heads by the dozen, whole networks as retrain trains them, folds, rungs, and a worker that is killed."""

import csv
import io
import json
import subprocess
import sys
import time
from dataclasses import replace

import jsonschema
import pytest
from mlflow import MlflowClient

from tasks.local.home import REPOSITORY
from tasks.media.clips import clip_uid
from tasks.results.search import Cutting, ScoredTrial, Search, SearchPlanResult, SearchReportResult, TrialBatch, TrialsResult
from tasks.results.training import WeightsResult
from tasks.search.space import cutting_of
from tasks.settings import MlflowSettings
from tasks.store.derived import trials_of_batch
from tasks.store.layout import Dataset, Layout
from tasks.store.searches import SearchPlan
from tasks.tracking import ChildRun, Tracker
from tasks.video.ffmpeg import find_ffmpeg
from tests.films.samples import make_samples
from tests.integration.conftest import CHAIN_STORE as STORE
from tests.integration.workshop import TRAINING

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

HEADS = {**TRAINING, "trainable": "heads", "epochs": 3, "preset": "none"}
BACKBONES = "backbone=tf_efficientnet_lite0, no_such_network"
CONF = {
    "store": STORE,
    **HEADS,
    "search": ["learning_rate", "dropout", "backbone"],
    "ranges": ["learning_rate=1e-4..1e-2 log", "dropout=0..0.5", BACKBONES],
    "num_trials": 6,
    "rounds": 2,
}
GRID = {
    **HEADS,
    "search": ["batch_size", "sampling_window"],
    "ranges": ["batch_size=1, 2", "sampling_window=0.5, 1"],
    "search_sampler": "grid",
    "num_trials": 4,
    "rounds": 1,
}
FOLD_STORE = "s3://retake-folds"
CHILDREN = """
import json, mlflow, sys
client = mlflow.MlflowClient()
parent = client.get_run(sys.argv[1])
found = client.search_runs([parent.info.experiment_id], f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
print(json.dumps({run.info.run_name: [run.info.status, run.data.params, run.data.metrics] for run in found}))
"""


def objects_under(workshop, folder, store=STORE):
    return {found.uri: found.etag for found in workshop.store.list(f"{store}/{folder}/")}


def without_preset(options):
    return {name: value for name, value in options.items() if name != "preset"}


@pytest.fixture(scope="module")
def runs_before(workshop, chain):
    return objects_under(workshop, "runs")


@pytest.fixture(scope="module")
def states(workshop, runs_before):
    return workshop.dag_test({"search": CONF})["search"]


@pytest.fixture(scope="module")
def place(workshop, states):
    (report,) = [uri for uri in objects_under(workshop, "searches") if uri.endswith("/report/result.json")]
    return SearchPlan(report.removesuffix("report/result.json"))


@pytest.fixture(scope="module")
def reported(workshop, place):
    return workshop.store.read(place.report.uri, SearchReportResult)


@pytest.fixture(scope="module")
def found(workshop, place):
    return workshop.store.read(place.report.numbers)


def test_rounds_that_nobody_asked_for_are_skipped_and_a_failed_trial_fails_nothing(states, found):
    assert states["run"] == "success"
    assert all(states[f"round_{number}.gather[-1]"] == "success" for number in (1, 2))
    assert all(states[f"round_{number}.{task}[-1]"] == "skipped" for number in range(3, 9) for task in ("suggest", "gather"))
    assert [states[f"{task}[-1]"] for task in ("plan", "repeat_winner", "report", "retrain")] == ["success"] * 3 + ["skipped"]
    failed = [trial for trial in found.trials if trial.failure]
    assert all("no_such_network" in trial.failure for trial in failed)
    assert [trial.values["backbone"] for trial in found.trials if trial.values["backbone"] == "no_such_network"] == [
        "no_such_network"
    ] * len(failed)


def test_the_first_trial_is_the_recipe_of_the_form_and_each_other_one_is_within_the_ranges(found):
    first, *others = found.trials
    assert first.values == {name: {**TRAINING, "dropout": 0}[name] for name in ("backbone", "dropout", "learning_rate")}
    assert [trial.number for trial in found.trials] == list(range(6))
    assert all(1e-4 <= trial.values["learning_rate"] <= 1e-2 and 0 <= trial.values["dropout"] <= 0.5 for trial in others)
    assert {trial.round for trial in found.trials} == {1, 2}


def test_the_winner_is_trained_again_under_three_new_seeds(found):
    winner = found.trials[found.winner]
    assert [trial.options.seed for trial in found.bias.seeds] == [1, 2, 3]
    assert all(trial.failure is None and trial.values == winner.values for trial in found.bias.seeds)


def test_page_table_and_schema_hold_the_trials(workshop, place, reported, found):
    rows = list(csv.DictReader(io.StringIO(workshop.store.read_bytes(reported.table_uri).decode())))
    assert len(rows) == reported.num_trials == 6
    assert float(rows[0]["action_top1"]) == found.trials[found.winner].scores["action"].top1
    jsonschema.validate(
        json.loads(workshop.store.read_bytes(reported.numbers_uri)), json.loads(workshop.store.read_bytes(place.report.schema))
    )
    page = workshop.store.read_bytes(reported.report_uri).decode()
    assert all(text in page for text in ("Luck of the best", "What mattered", "<svg", "learning_rate"))


def test_trials_are_child_runs_with_their_options_and_scores(workshop, reported, found):
    script = [sys.executable, "-c", CHILDREN, reported.mlflow_run_url.rpartition("/")[2]]
    children = json.loads(subprocess.check_output(script, env=workshop.environment, text=True, timeout=60))
    assert set(children) == {f"trial {trial.number}" for trial in found.trials}
    for trial in found.trials:
        status, params, metrics = children[f"trial {trial.number}"]
        assert status == ("FAILED" if trial.failure else "FINISHED")
        assert params == {name: str(value) for name, value in trial.values.items()}
        assert trial.failure or metrics["val_action_top1"] == trial.scores["action"].top1


def test_a_child_run_loses_its_failure_once_it_is_trained_and_gives_way_to_another_trial(workshop):
    tracker = Tracker.from_settings(MlflowSettings(uri=workshop.environment["RETAKE_MLFLOW_URI"]))
    parent = tracker.ensure_run("children", "parent", {})
    failed = ChildRun(params={"dropout": 0.1}, metrics={}, tags={"retake.round": "1", "retake.failure": "killed"}, failed=True)
    trained = replace(failed, metrics={"val_loss": 1.0}, tags={"retake.round": "1"}, failed=False)
    shown = []
    for child in (failed, trained, replace(trained, params={"dropout": 0.2})):
        tracker.log_children(parent, {"trial 0": child})
        runs = [run for run in MlflowClient().search_runs([MlflowClient().get_run(parent).info.experiment_id]) if run.info.run_id != parent]
        shown.append([(run.info.status, run.data.params["dropout"], run.data.tags.get("retake.failure")) for run in runs])
    assert shown == [[("FAILED", "0.1", "killed")], [("FINISHED", "0.1", None)], [("FINISHED", "0.2", None)]]


def test_the_same_again_changes_nothing(workshop, reported):
    before = objects_under(workshop, "searches"), objects_under(workshop, "runs")
    assert workshop.dag_test({"search": CONF})["search"]["run"] == "success"
    assert (objects_under(workshop, "searches"), objects_under(workshop, "runs")) == before


def test_a_training_of_retrain_is_found_and_not_repeated(workshop, chain, reported):
    before = objects_under(workshop, "runs")
    one = {"search": ["learning_rate"], "ranges": ["learning_rate=1e-4..1e-2 log"], "num_trials": 1, "rounds": 1}
    plan = SearchPlanResult.model_validate(workshop.run("search_plan", store=STORE, **TRAINING, **one))
    batch = batch_of(workshop, plan)
    workshop.run("train_trials", store=STORE, search=plan.search_uri, batch=batch)
    trial = workshop.store.read(trials_of_batch(batch).trial(0))
    assert trial.was_found
    assert f"{STORE}/runs/{trial.run_keys[0]}/" == chain.run
    after = objects_under(workshop, "runs")
    assert {uri.removeprefix(chain.run) for uri in after.keys() - before.keys()} == {"validation/1-crops.json"}
    assert {uri: after[uri] for uri in before} == before


def planned_grid(workshop, name):
    return SearchPlanResult.model_validate(workshop.run("search_plan", store=STORE, model_name=name, **without_preset(GRID)))


def test_a_worker_that_is_killed_leaves_the_same_table(workshop, chain, reported):
    calm, killed = (planned_grid(workshop, name) for name in ("calm", "killed"))
    workshop.run("train_trials", store=STORE, search=calm.search_uri, batch=batch_of(workshop, calm))
    batch = batch_of(workshop, killed)
    trials = trials_of_batch(batch)
    command = workshop.command("train_trials", store=STORE, search=killed.search_uri, batch=batch)
    with subprocess.Popen(
        command, cwd=REPOSITORY, env=workshop.environment, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as worker:
        deadline = time.monotonic() + 120
        while not (first := [one.uri for one in workshop.store.list(trials.folder_uri)]):
            assert worker.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        worker.kill()
    kept = {uri: workshop.store.stat(uri).etag for uri in first}
    assert trials.uri not in kept
    workshop.run("train_trials", store=STORE, search=killed.search_uri, batch=batch)
    assert {uri: workshop.store.stat(uri).etag for uri in kept} == kept
    assert scores_of(workshop, killed) == scores_of(workshop, calm)
    starts = [one.uri for one in workshop.store.list(f"{killed.search_uri}weights/")]
    titles = [workshop.store.read(uri, WeightsResult).network for uri in starts]
    assert sorted(titles) == [f"TSN tf_efficientnet_lite0 rgb, 2 segments{window}, bicubic" for window in ("", ", window 0.5")]
    assert len({loss for _, _, loss in scores_of(workshop, calm)}) == 4


def test_a_try_that_was_killed_before_it_wrote_a_trial_has_trained_it(workshop, chain, reported):
    plan = planned_grid(workshop, "calm")
    batch = batch_of(workshop, plan)
    workshop.run("train_trials", store=STORE, search=plan.search_uri, batch=batch)
    trials = trials_of_batch(batch)
    before = {found.uri: found.etag for found in workshop.store.list(trials.folder_uri)}
    assert not any(workshop.store.read(trials.trial(number)).was_found for number in range(4))
    for uri in (trials.trial(2).uri, trials.uri):
        workshop.remove(uri)
    workshop.run("train_trials", store=STORE, search=plan.search_uri, batch=batch)
    assert {found.uri: found.etag for found in workshop.store.list(trials.folder_uri)} == before


def test_a_trial_that_failed_is_tried_again_when_its_task_is(workshop, chain, reported):
    plan = planned_grid(workshop, "mended")
    batch = batch_of(workshop, plan)
    trials, wanted = trials_of_batch(batch), workshop.store.read(batch, TrialBatch).trials
    failed = ScoredTrial(number=1, round=1, values=wanted[1].values, options=wanted[1].options, failure="MLflow denies access")
    workshop.store.write(trials.trial(1), failed)
    workshop.store.write(trials, TrialsResult(num_trials=4, num_failed=1))
    assert workshop.run("train_trials", store=STORE, search=plan.search_uri, batch=batch) == {"num_trials": 4, "num_failed": 0}
    assert scores_of(workshop, plan) == scores_of(workshop, planned_grid(workshop, "calm"))


def batch_of(workshop, plan):
    (batch,) = workshop.run("suggest", store=STORE, search=plan.search_uri, round=1)["batches"]
    return batch["uri"]


def scores_of(workshop, plan):
    batch = batch_of(workshop, plan)
    trials = [workshop.store.read(trials_of_batch(batch).trial(number)) for number in range(4)]
    return sorted((sorted(trial.values.items()), trial.scores["action"].top1, trial.loss) for trial in trials)


@pytest.fixture(scope="module")
def six_films(workshop, tmp_path_factory):
    films = tmp_path_factory.mktemp("six") / "films"
    make_samples(films, seed=1, num_videos=6, video_seconds=8, ffmpeg=find_ffmpeg(None))
    workshop.ingest(FOLD_STORE, films)
    workshop.build(FOLD_STORE)


def test_folds_and_rungs_by_one_command(workshop, six_films):
    options = {**HEADS, "epochs": 9, "search": ["learning_rate", "batch_size"], "num_trials": 6, "rounds": 2, "folds": 3, "halving": True}
    result = SearchReportResult.model_validate(workshop.run("search", store=FOLD_STORE, **options))
    search = workshop.store.read(result.numbers_uri, Search)
    first, last = ([trial for trial in search.trials if trial.round == number] for number in (1, 2))
    assert [trial.num_epochs for trial in first] == [3] * 6
    assert [trial.num_epochs for trial in last] == [9, 9]
    assert search.winner in [trial.number for trial in last]
    train = [clip for uri in search.plan.fold_uris for clip in held_out(workshop, uri)]
    assert search.num_clips == len(train) == len({clip.uid for clip in train})
    assert all(len(trial.run_keys) == len(trial.fold_top1) == 3 for trial in search.trials)
    layout = Layout(FOLD_STORE)
    for trial in last:
        earlier = next(one for one in first if one.values == trial.values)
        for run, start in zip(trial.run_keys, earlier.run_keys, strict=True):
            whole, begun = (workshop.store.read(layout.run(key).validation(1)).epochs for key in (run, start))
            assert whole[:3] == begun


def held_out(workshop, fold_uri):
    return [clip for clip in workshop.store.read(Dataset(fold_uri).manifest).clips if clip.split == "val"]


LENGTHS = {
    **HEADS,
    "search": ["clip_seconds", "cut"],
    "ranges": ["clip_seconds=4, 8", "cut=grid, intervals"],
    "search_sampler": "grid",
    "num_trials": 4,
    "rounds": 1,
    "folds": 3,
}


def test_clips_of_each_length_and_cut_are_labelled_and_answer_for_the_same_clips(workshop, six_films):
    result = SearchReportResult.model_validate(workshop.run("search", store=FOLD_STORE, **LENGTHS))
    search = workshop.store.read(result.numbers_uri, Search)
    place, layout = SearchPlan(search.plan.search_uri), Layout(FOLD_STORE)
    own = workshop.store.read(Dataset(search.plan.dataset_uri).manifest)
    split_of = {clip.source: clip.split for clip in own.clips}
    own_cutting = Cutting(8, "grid")
    cuttings = [cutting_of(trial.values, own_cutting) for trial in search.trials]
    assert sorted(cuttings) == [(4, "grid"), (4, "intervals"), (8, "grid"), (8, "intervals")]
    assert not any(trial.failure for trial in search.trials)
    folds = [workshop.store.read(Dataset(uri).manifest) for uri in search.plan.fold_uris]
    recut = workshop.store.read(place.recut)
    for cutting, trial in zip(cuttings, search.trials, strict=True):
        if cutting == own_cutting:
            continue
        length = recut.of(cutting)
        manifest = workshop.store.read(Dataset(length.dataset_uri).manifest)
        assert len(manifest.clips) > len(own.clips) or cutting.clip_seconds == 8
        assert all(clip.stop_seconds - clip.start_seconds <= cutting.clip_seconds for clip in manifest.clips)
        assert {clip.around is not None for clip in manifest.clips} == {cutting.cut == "intervals"}
        assert {clip.source: clip.split for clip in manifest.clips}.items() <= split_of.items()
        folders, own_folders = ({clip.uri.rpartition("/")[0] for clip in one.clips} for one in (manifest, own))
        assert folders.isdisjoint(own_folders)
        assert {one.rpartition("/")[0] for one in folders} <= {one.rpartition("/")[0] for one in own_folders}
        for key, fold, uri in zip(trial.run_keys, folds, length.fold_uris, strict=True):
            held_out = [clip for clip in fold.clips if clip.split == "val"]
            score = workshop.store.read(layout.run(key).validation_on(Dataset(search.plan.fold_uris[folds.index(fold)]).digest, 1))
            assert len(score.right["action"]) == len(held_out)
            shorter = {clip.source for clip in workshop.store.read(Dataset(uri).manifest).clips if clip.split == "val"}
            assert shorter <= {clip.source for clip in held_out}
    winner = cutting_of(search.trials[search.winner].values, own_cutting)
    assert result.retrain["dataset"] == (search.plan.dataset_uri if winner == own_cutting else recut.of(winner).dataset_uri)
    before = objects_under(workshop, "searches", FOLD_STORE), objects_under(workshop, "videos", FOLD_STORE)
    workshop.run("search", store=FOLD_STORE, **LENGTHS)
    assert (objects_under(workshop, "searches", FOLD_STORE), objects_under(workshop, "videos", FOLD_STORE)) == before


def test_a_length_whose_clips_have_no_label_fails_its_trials_alone(workshop, six_films, tmp_path):
    store = "s3://retake-uids"
    films = tmp_path / "films"
    make_samples(films, seed=1, num_videos=6, video_seconds=8, ffmpeg=find_ffmpeg(None))
    (films / "intervals.csv").unlink()
    workshop.ingest(store, films)
    labelled = workshop.store.read(Dataset(workshop.store.read(Layout(FOLD_STORE).latest_dataset).dataset_uri).manifest).clips
    lines = [f"{clip.uid},{clip.verb},{clip.noun}" for clip in labelled]
    workshop.store.write_bytes(Layout(store).annotations.file("labels.csv"), "\n".join(["uid,verb,noun", *lines]).encode())
    workshop.build(store)
    options = {**LENGTHS, "search": ["clip_seconds"], "ranges": ["clip_seconds=8, 4"], "num_trials": 2, "folds": 0}
    search = workshop.store.read(SearchReportResult.model_validate(workshop.run("search", store=store, **options)).numbers_uri, Search)
    failures = {trial.values["clip_seconds"]: trial.failure for trial in search.trials}
    assert failures[8] is None
    assert "no training can have clips of 4 s" in failures[4] and "has a label" in failures[4]
    # Labels of the shorter clips mend it.
    video = {clip.video: (clip.verb, clip.noun) for clip in labelled}
    shorter = [f"{clip_uid(one, start, start + 4)},{','.join(label)}" for one, label in video.items() for start in range(0, 8, 4)]
    workshop.store.write_bytes(Layout(store).annotations.file("shorter.csv"), "\n".join(["uid,verb,noun", *shorter]).encode())
    search = workshop.store.read(SearchReportResult.model_validate(workshop.run("search", store=store, **options)).numbers_uri, Search)
    assert not any(trial.failure for trial in search.trials)
    # A changed label would be in the clips of other lengths alone.
    changed = f"{labelled[0].uid},{next(clip.verb for clip in labelled if clip.verb != labelled[0].verb)},{labelled[0].noun}"
    workshop.store.write_bytes(Layout(store).annotations.file("changed.csv"), f"uid,verb,noun\n{changed}".encode())
    refused = workshop.attempt("search", store=store, **options | {"search_seed": 1})
    assert refused.returncode != 0 and "run build_dataset" in refused.stderr


def test_rungs_of_whole_networks_go_on_from_their_last_epoch(workshop, chain):
    options = {**TRAINING, "preset": "none", "trainable": "last-stage", "epochs": 3, "model_name": "rungs"}
    asked = {"search": ["learning_rate"], "ranges": ["learning_rate=1e-4..1e-2 log"], "num_trials": 3, "rounds": 2, "halving": True}
    result = SearchReportResult.model_validate(workshop.run("search", store=STORE, **options, **asked))
    search = workshop.store.read(result.numbers_uri, Search)
    *first, last = search.trials
    assert [trial.num_epochs for trial in search.trials] == [1, 1, 1, 3]
    begun = next(trial for trial in first if trial.values == last.values)
    layout = Layout(STORE)
    whole, short = (workshop.store.read(layout.run(trial.run_keys[0]).train) for trial in (last, begun))
    assert whole.epochs[:1] == short.epochs
    assert last.seconds == pytest.approx(whole.seconds - short.seconds, abs=0.002)
    assert not any(trial.was_found for trial in search.trials)


def test_latency_is_measured_once_per_network_and_weighed_against_accuracy(workshop, chain):
    options = {**HEADS, "model_name": "latency", "objectives": "accuracy and latency", "num_trials": 3, "rounds": 1}
    asked = {"search": ["num_segments", "dropout"], "ranges": ["num_segments=2, 3", "dropout=0, 0.5"], "search_sampler": "grid"}
    result = SearchReportResult.model_validate(workshop.run("search", store=STORE, **options, **asked))
    search = workshop.store.read(result.numbers_uri, Search)
    by_segments = {trial.values["num_segments"]: trial.latency_seconds for trial in search.trials}
    assert all(trial.latency_seconds == by_segments[trial.values["num_segments"]] > 0 for trial in search.trials)
    assert len(by_segments) == 2
    assert len({found.uri for found in workshop.store.list(f"{search.plan.search_uri}latency/")}) == 2
    assert (
        max(search.trials[number].scores["action"].top1 for number in search.pareto) == search.trials[search.winner].scores["action"].top1
    )
    assert "latency" in workshop.store.read_bytes(result.report_uri).decode()
