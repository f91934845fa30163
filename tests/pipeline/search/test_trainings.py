"""Searches whose trainings are real, of the tiniest network on short films, in this process."""

import csv
import io
import json

import jsonschema
import pytest

from tasks.data.clips.clips import clip_uid
from tasks.errors import BadDataset
from tasks.judge.search.space import cutting_of
from tasks.store.derived import trials_of_batch
from tasks.store.experiments import SearchPlan
from tasks.store.layout import Dataset, Layout
from tasks.store.records.search import Cutting, ScoredTrial, Search, TrialBatch, TrialsResult
from tests.pipeline.in_process import STORE
from tests.pipeline.search.conftest import INTERVALS, NAMES, SearchBench
from tests.pipeline.shelf import filmed

pytestmark = pytest.mark.slow

LAYOUT = Layout(STORE)
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
GRID = {"search_sampler": "grid", "rounds": 1}


@pytest.fixture(scope="module")
def cut_films(ffmpeg, tmp_path_factory):
    film = filmed(ffmpeg, tmp_path_factory.mktemp("film") / "film.mp4", seconds=4).read_bytes()
    bench = SearchBench()
    for name in NAMES:
        bench.store.write_bytes(f"{STORE}/inbox/{name}", film + name.encode())
    bench.ingest()
    return bench


@pytest.fixture(scope="module")
def decoded_films(cut_films):
    bench = cut_films.copy()
    bench.annotate("intervals.csv", INTERVALS)
    bench.build()
    return bench


@pytest.fixture
def bench(decoded_films, mlflow, machine, monkeypatch):
    monkeypatch.setenv("RETAKE_CODE_VERSION", "test")
    return decoded_films.copy()


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
    options = {"search": ["dropout", "backbone"], "ranges": ["dropout=0, 0.5", "backbone=test_resnet, no_such_network"], **GRID}
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
        (uri := LAYOUT.run(planned.run_key).validation(1).uri, bench.store.objects[uri])
    }


def test_trials_that_were_trained_before_a_kill_are_kept_and_failed_ones_tried_again(bench):
    options = HEADS | GRID | {"search": ["batch_size", "num_segments"], "ranges": ["batch_size=1, 2", "num_segments=1, 2"]}
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


def test_clips_of_each_length_and_cut_are_labelled_and_answer_for_the_same_clips_of_all_folds(bench):
    options = {"search": ["clip_seconds", "cut"], "ranges": ["clip_seconds=1, 2", "cut=grid, intervals"], **GRID, "folds": 2}
    done, result = searched(bench, **HEADS | options, num_trials=4, objectives="accuracy and latency")
    held_out = [clip.uid for uri in done.plan.fold_uris for clip in bench.val_of(Dataset(uri))]
    assert done.num_clips == len(held_out) == len(set(held_out))
    assert all(len(trial.run_keys) == len(trial.fold_top1) == 2 and trial.latency_seconds > 0 for trial in done.trials)
    best = done.trials[done.winner].scores["action"].top1
    assert max(done.trials[number].scores["action"].top1 for number in done.pareto) == best
    assert done.bias.corrected + done.bias.optimism == pytest.approx(best)
    assert "latency" in bench.store.read_bytes(result.report_uri).decode()
    assert {look.split for look in bench.looks()} == {"train"}, "val has chosen nothing"
    own, own_cutting = bench.store.read(Dataset(done.plan.dataset_uri).manifest), Cutting(2, "grid")
    cuttings = [cutting_of(trial.values, own_cutting) for trial in done.trials]
    assert sorted(cuttings) == [(1, "grid"), (1, "intervals"), (2, "grid"), (2, "intervals")]
    assert not any(trial.failure for trial in done.trials)
    recut = bench.store.read(SearchPlan(done.plan.search_uri).recut)
    for cutting, trial in zip(cuttings, done.trials, strict=True):
        if cutting == own_cutting:
            continue
        other = recut.of(cutting)
        manifest = bench.store.read(Dataset(other.dataset_uri).manifest)
        assert len(manifest.clips) > len(own.clips) or cutting.clip_seconds == 2
        assert all(clip.stop_seconds - clip.start_seconds <= cutting.clip_seconds + 0.01 for clip in manifest.clips)
        assert {clip.around is not None for clip in manifest.clips} == {cutting.cut == "intervals"}
        assert {clip.source: clip.split for clip in manifest.clips}.items() <= {clip.source: clip.split for clip in own.clips}.items()
        folders, own_folders = ({clip.uri.rpartition("/")[0] for clip in part.clips} for part in (manifest, own))
        assert folders.isdisjoint(own_folders)
        assert {folder.rpartition("/")[0] for folder in folders} <= {folder.rpartition("/")[0] for folder in own_folders}
        for key, fold_uri, uri in zip(trial.run_keys, done.plan.fold_uris, other.fold_uris, strict=True):
            held_out = bench.val_of(Dataset(fold_uri))
            score = bench.store.read(LAYOUT.run(key).validation_on(Dataset(fold_uri).digest, 1))
            assert len(score.right["action"]) == len(held_out)
            assert {clip.source for clip in bench.val_of(Dataset(uri))} <= {clip.source for clip in held_out}
    winner = cutting_of(done.trials[done.winner].values, own_cutting)
    assert result.retrain["dataset"] == (done.plan.dataset_uri if winner == own_cutting else recut.of(winner).dataset_uri)
    assert result.retrain["preset"] == "none", "auto would replace what the winner has of the form's own values"
    before = bench.under("searches"), bench.under("clips")
    searched(bench, **HEADS | options, num_trials=4, objectives="accuracy and latency")
    assert (bench.under("searches"), bench.under("clips")) == before


def test_clips_of_another_length_have_the_sources_of_the_dataset_though_files_have_others_by_then(bench):
    bench = SearchBench(bench.store, cut="both")
    bench.ingest()
    built = Dataset(bench.build().dataset_uri).manifest
    manifest = bench.store.read(built)
    earlier = tuple(clip.model_copy(update={"source": f"once {clip.source}"}) for clip in manifest.clips)
    bench.store.write(built, manifest.model_copy(update={"clips": earlier}))
    planned = bench.run("search_plan", **HEADS | GRID, search=["clip_seconds"], ranges=["clip_seconds=2, 1"], num_trials=2, folds=3)
    plan = bench.store.read(SearchPlan(planned.search_uri))
    own = {clip.video: (clip.source, clip.split) for clip in earlier}
    bench.annotate("recordings.csv", "video,recording\n" + "".join(f"{name},x\n" for name in NAMES))
    (other,) = bench.run("recut", search=planned.search_uri).lengths
    assert other.failure is None
    manifest = bench.store.read(Dataset(other.dataset_uri).manifest)
    assert {clip.video: (clip.source, clip.split) for clip in manifest.clips} == own
    held_out = [[{clip.video for clip in bench.val_of(Dataset(uri))} for uri in uris] for uris in (plan.fold_uris, other.fold_uris)]
    assert held_out[0] == held_out[1]


def test_a_length_whose_clips_have_no_label_fails_its_trials_alone(bench, cut_films):
    labelled = bench.store.read(Dataset(bench.store.read(LAYOUT.latest_dataset).dataset_uri).manifest).clips

    def labels(rows):
        return "\n".join(["uid,verb,noun", *(",".join(row) for row in rows)])

    bench = cut_films.copy()
    bench.annotate("labels.csv", labels((clip.uid, clip.verb, clip.noun) for clip in labelled))
    bench.build()
    options = HEADS | GRID | {"search": ["clip_seconds"], "ranges": ["clip_seconds=2, 1"], "num_trials": 2}
    failures = {trial.values["clip_seconds"]: trial.failure for trial in searched(bench, **options)[0].trials}
    assert failures[2] is None
    assert "no training can have clips of 1 s" in failures[1] and "has a label" in failures[1]
    # Labels of the shorter clips mend it.
    halves = [
        (clip_uid(clip.video, start, start + 1), clip.verb, clip.noun)
        for clip in labelled
        for start in (clip.start_seconds, clip.start_seconds + 1)
    ]
    bench.annotate("shorter.csv", labels(halves))
    assert not any(trial.failure for trial in searched(bench, **options)[0].trials)
    # A changed label would be in the clips of other lengths alone.
    verb = next(clip.verb for clip in labelled if clip.verb != labelled[0].verb)
    bench.annotate("then.csv", labels([(labelled[0].uid, verb, labelled[0].noun)]))
    with pytest.raises(BadDataset, match="run build_dataset"):
        searched(bench, **options, search_seed=1)
