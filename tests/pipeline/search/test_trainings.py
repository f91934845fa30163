"""Searches whose trainings are real, of the tiniest network on short films, in this process."""

import csv
import io
import json
import os
import signal
import warnings
from base64 import b64decode, b64encode
from datetime import datetime

import jsonschema
import psutil
import pytest

from tasks.data.clips.clips import clip_uid
from tasks.errors import BadDataset
from tasks.judge.search.space import cutting_of
from tasks.store.derived import trials_of_batch
from tasks.store.experiments import SearchPlan
from tasks.store.layout import Dataset, Layout
from tasks.store.records.looks import Look
from tasks.store.records.search import Cutting, ScoredTrial, Search, TrialBatch, TrialsResult
from tests.pipeline.in_process import STORE
from tests.pipeline.search.conftest import NAMES, SearchBench
from tests.pipeline.shelf import Shelf

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


def searched(bench, **options):
    """Search by one command; return its numbers and the result of its report."""
    result = bench.run("search", preset="none", **{"folds": 0} | options)
    return bench.store.read(result.numbers_uri, Search), result


def looks(bench):
    return [bench.store.read(uri, Look) for uri in bench.under("looks") if not uri.endswith("clips.json")]


def first_batch(bench, **options):
    """Plan a search, and return what trains its only batch."""
    planned = bench.run("search_plan", **{"folds": 0} | options)
    (batch,) = bench.run("suggest", search=planned.search_uri, round=1).batches
    return {"search": planned.search_uri, "batch": batch.uri}


def test_folds_and_latency_by_one_command(bench):
    options = {"search": ["dropout", "num_segments"], "ranges": ["dropout=0, 0.5", "num_segments=2, 3"], "folds": 3}
    done, result = searched(bench, **HEADS | options, num_trials=4, rounds=1, objectives="accuracy and latency")
    held_out = [clip.uid for uri in done.plan.fold_uris for clip in bench.val_of(Dataset(uri))]
    assert done.num_clips == len(held_out) == len(set(held_out))
    assert all(len(trial.run_keys) == len(trial.fold_top1) == 3 for trial in done.trials)
    latencies = {trial.values["num_segments"]: trial.latency_seconds for trial in done.trials}
    assert all(trial.latency_seconds == latencies[trial.values["num_segments"]] > 0 for trial in done.trials)
    assert len([uri for uri in bench.store.objects if uri.startswith(f"{done.plan.search_uri}latency/")]) == len(latencies) == 2
    assert max(done.trials[number].scores["action"].top1 for number in done.pareto) == done.trials[done.winner].scores["action"].top1
    assert done.bias.corrected + done.bias.optimism == pytest.approx(done.trials[done.winner].scores["action"].top1)
    assert "latency" in bench.store.read_bytes(result.report_uri).decode()
    assert {look.split for look in looks(bench)} == {"train"}, "val has chosen nothing"


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
    assert {(look.kind, look.split) for look in looks(bench)} == {("trial", "val")}
    assert {network for look in looks(bench) for network in look.networks} == scored
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
    options = HEADS | GRID | {"search": ["batch_size", "sampling_window"], "ranges": ["batch_size=1, 2", "sampling_window=0.5, 1"]}
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


def test_clips_of_each_length_and_cut_are_labelled_and_answer_for_the_same_clips(bench):
    options = {"search": ["clip_seconds", "cut"], "ranges": ["clip_seconds=1, 2", "cut=grid, intervals"], **GRID, "folds": 3}
    done, result = searched(bench, **HEADS | options, num_trials=4)
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
    searched(bench, **HEADS | options, num_trials=4)
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


class Journal(Shelf):
    """A store that outlives its process: a file has each write, until one that was cut off.

    The process is killed some time of the processor after this number of writes.
    """

    def __init__(self, path, num_writes=0):
        super().__init__()
        self.num_left = self.num_writes = num_writes
        path.touch()
        whole = path.read_bytes().rpartition(b"\n")[0]
        path.write_bytes(whole + b"\n" * bool(whole))
        for uri, data, now in map(json.loads, whole.splitlines()):
            self.now = datetime.fromisoformat(now)
            self.objects[uri], self.written[uri] = b64decode(data), self.now
        self.path = path

    def write_bytes(self, uri, data):
        with self.creating, self.path.open("ab") as file:
            super().write_bytes(uri, data)
            file.write(json.dumps([uri, b64encode(data).decode(), self.now.isoformat()]).encode() + b"\n")
        self.num_left -= 1
        if self.num_left == 0:
            signal.setitimer(signal.ITIMER_PROF, 1e-6 + 0.02 * (self.num_writes % 5))


def in_process_of_its_own(journal, options, num_writes=0):
    """Search in a child process, which is killed after this number of writes; return its exit status."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads, of which this process has none that matters
        child = os.fork()
    if not child:
        status = 1
        try:
            os.setsid()
            searched(SearchBench(Journal(journal, num_writes)), **options)
            status = 0
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    left = [process for process in psutil.process_iter() if process.pid != child and os.getsid(process.pid) == child]
    assert not psutil.wait_procs(left, timeout=20)[1], "a process outlived the search"
    return status


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_search_that_is_killed_at_any_moment_ends_with_the_same_table(bench, tmp_path, monkeypatch):
    options = HEADS | RATES | {"num_trials": 4, "rounds": 2}

    def table(journal):
        (uri,) = [uri for uri in Journal(journal).objects if uri.endswith("/report/trials.csv")]
        rows = csv.DictReader(io.StringIO(Journal(journal).read_bytes(uri).decode()))
        return [{name: value for name, value in row.items() if not name.endswith("_seconds")} for row in rows]

    journals = [tmp_path / name for name in ("calm", "killed")]
    for journal in journals:
        store = Journal(journal)
        for uri, data in bench.store.objects.items():
            store.write_bytes(uri, data)
    assert in_process_of_its_own(journals[0], options) == 0
    monkeypatch.setenv("RETAKE_CACHE_DIR", str(tmp_path / "killed cache"))
    statuses = [in_process_of_its_own(journals[1], options, num_writes) for num_writes in range(1, 9)]
    assert (set(statuses[:4]), set(statuses) - {0}) == ({signal.SIGPROF}, {signal.SIGPROF})
    assert in_process_of_its_own(journals[1], options) == 0
    assert table(journals[1]) == table(journals[0])
