"""What each step writes into the summary, and what a shell shows of it."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tasks.__main__ import main
from tasks.data.clips.label_inputs import append_to_log
from tasks.errors import BadConfiguration, NothingToDo
from tasks.judge.statistics.answers import to_parquet
from tasks.loop.summary import read_status
from tasks.pipeline.commands import parse
from tasks.pipeline.retrain.plan import evaluations
from tasks.store.layout import Dataset, Ingest, Layout
from tasks.store.objects import Store
from tasks.store.records.curves import CurveGain, LearningCurveResult, TargetCurve
from tasks.store.records.dataset import DatasetResult, LabelsFile
from tasks.store.records.evaluation import DoubtfulLabel, LabelAudit
from tasks.store.records.labelling import ClipStatement
from tasks.store.records.record import SetAside
from tasks.store.records.training import Champion
from tasks.store.records.video import BatchRef, IngestResult, Interval, Inventory, SegmentResult
from tasks.store.run_layout import Decision, Evaluations, Scores
from tasks.store.stored import Output
from tests.data.labels.test_statements import CLIPS, Writer
from tests.judge.gate.candidates import Candidates
from tests.pipeline.in_process import LABELS, STORE, Bench
from tests.pipeline.shelf import Fragile, Killed, dataset_clip, manifest_of, taken_in
from tests.records import some
from tests.scored_clips import make_clips, summary_of, vocabulary

__all__ = ["make_clips", "vocabulary"]

FOUR = ("put meat/a.mp4", "put meat/b.mp4", "take bag/c.mp4", "take bag/d.mp4")
MODEL = Layout(STORE).status.of_model("m").model
DATASET = f"{STORE}/datasets/d2/"


@pytest.fixture
def bench(monkeypatch):
    monkeypatch.setattr("tasks.pipeline.build_dataset.dataset.histograms", lambda manifest: {})
    made = Bench()
    taken_in(made.store, FOUR)
    return made


def state(store, model_name="m"):
    return read_status(store, STORE, model_name)


def test_an_ingest_counts_the_films_of_the_store_and_names_what_was_set_aside(bench):
    place = Ingest(f"{STORE}/ingests/test/")
    out = f"{place.folder_uri}segment/r/0000/"
    bench.store.write(place, some(IngestResult, num_files=1, num_videos=1, batches=(BatchRef(uri="b", name="b", out=out),)))
    bench.store.write(place.inventory, Inventory(files=()))
    bad = SetAside(name="notes.mp4", reason="no video")
    bench.store.write(Output(out, SegmentResult), some(SegmentResult, num_clips=7, set_aside=(bad,)))
    bench.run("summarise", ingest=place.folder_uri)
    films = state(bench.store).films
    assert (films.num_videos, films.num_new, films.num_clips, films.first_set_aside) == (4, 0, 7, (bad,))
    before = dict(bench.store.objects)
    bench.run("summarise", ingest=place.folder_uri)
    assert bench.store.objects == before
    taken_in(bench.store, ["put meat/e.mp4"])
    bench.run("summarise", ingest=place.folder_uri)
    assert (state(bench.store).films.num_videos, state(bench.store).films.num_new) == (5, 1)


def test_labels_and_datasets_are_summed_up_and_a_second_run_changes_nothing(bench):
    first = bench.build()
    (clip,) = [clip for clip in bench.store.read(Dataset(first.dataset_uri).manifest).clips if clip.names == ("put meat/a.mp4",)]
    part = {name: getattr(clip, name) for name in ("video", "uid", "start_seconds", "stop_seconds")}
    answer = {"answer": "action", "verb": "put", "noun": "bag"}
    append_to_log(bench.store, STORE, ClipStatement(token="t" * 8, by="ada", at="2026-01-01T00:00:00Z", **answer, **part), 0)
    taken_in(bench.store, ["put bag/e.mp4", "day 1/f.mp4"])
    assert bench.run("label").num_labelled == 5
    (other,) = [each.clip for each in bench.store.read(f"{LABELS}labels.json", LabelsFile).clips if each.action is None]
    part = {name: getattr(other, name) for name in part}
    append_to_log(bench.store, STORE, ClipStatement(token="u" * 8, by="ada", at="2026-01-01T00:00:00Z", answer="unsure", **part), 1)
    second = bench.build()
    assert second.num_unlabelled == 0
    summed = state(bench.store)
    origins = {("folder", "put meat", 1), ("folder", "put bag", 1), ("folder", "take bag", 2), ("person", "ada", 1)}
    assert {(origin.kind, origin.name, origin.num_clips) for origin in summed.labels.by_origin} == origins
    assert (summed.labels.num_statements, summed.labels.num_unsure) == (2, 1)
    assert summed.dataset.digest == second.digest
    change = summed.dataset.change
    assert (change.before, change.num_videos_added, change.num_relabelled, change.classes_added) == (first.digest, 1, 1, ("put bag",))
    assert [kept.digest for kept in summed.dataset.datasets] == [second.digest, first.digest]
    before = dict(bench.store.objects)
    with pytest.raises(NothingToDo):
        bench.build()
    assert bench.store.objects == before
    listed = bench.run("diff", before=first.digest[:8], after="latest")
    assert (listed.before, listed.after) == (first.digest, second.digest)
    assert [(row.before, row.after) for row in listed.difference.relabelled] == [("put meat", "put bag")]


def test_a_dataset_whose_summary_was_cut_off_is_summed_up_by_the_next_try(bench, monkeypatch):
    first = bench.build()
    taken_in(bench.store, ["put meat/e.mp4"])
    with monkeypatch.context() as patch:
        patch.setattr("tasks.pipeline.build_dataset.dataset.keep", lambda *_: None)
        second = bench.build()
    assert state(bench.store).dataset.digest == first.digest
    with pytest.raises(NothingToDo):
        bench.build()
    assert state(bench.store).dataset.digest == second.digest
    assert state(bench.store).dataset.change.before == first.digest


@pytest.fixture
def candidates(mlflow):
    """Versions that wait for a decision on the latest dataset."""
    store = Fragile()
    store.write(Layout(STORE).latest_dataset, some(DatasetResult, digest="d2", dataset_uri=DATASET))
    return Candidates(store, mlflow, STORE, "m")


@pytest.fixture
def scored(candidates, make_clips, vocabulary):
    """Give a waiting version the evidence of its plan: scores of all its networks, some wrong."""
    store = candidates.store
    clips = make_clips(20)
    names = {"verb": {ref.id: ref.name for ref in vocabulary.verbs}, "noun": {ref.id: ref.name for ref in vocabulary.nouns}}
    clips = type(clips)(clips.uids, clips.sources, np.full(20, 1), np.full(20, 26), clips.verb_logits, clips.noun_logits)
    rows = [dataset_clip(uid, "val", verb=names["verb"][1], noun=names["noun"][26], verb_class=1, noun_class=26) for uid in clips.uids]
    rows.append(dataset_clip("of train", "train", verb="put", noun="meat"))
    rows.append(dataset_clip("around an interval", "train", verb="put", noun="meat", around=Interval(start_seconds=0, stop_seconds=1)))
    store.write(Dataset(DATASET).manifest, manifest_of(rows, vocabulary))
    words = {"verb": "put", "noun": "meat", "likely_verb": "take", "likely_noun": "bag"}
    doubtful = tuple(some(DoubtfulLabel, uid=clip.uid, **words) for clip in rows[-3:])

    right = replace(clips, verb_logits=np.zeros_like(clips.verb_logits), noun_logits=np.zeros_like(clips.noun_logits))
    right.verb_logits[:, 1] = right.noun_logits[:, 26] = 9

    def give(plan, champion=None, previous=None, is_faultless=False, digest="d2"):
        answers = right if is_faultless else clips
        planned = evaluations(Evaluations(f"{plan.run_uri}evaluate/k/"), ["val"], "val", champion, previous)
        known = {"champion": champion, "previous": previous, "evaluations": tuple(planned), "deciding_split": "val"}
        plan = plan.model_copy(update={"dataset_uri": DATASET, "dataset_digest": digest, **known})
        store.write(Decision(plan.decision_uri).plan, plan)
        for evaluation in planned:
            place = Scores(evaluation.out)
            result = summary_of(answers, vocabulary, evaluation.model, "val", predictions_uri=place.predictions)
            store.write(place, result.model_copy(update={"audit": LabelAudit(num_clips=20, num_doubtful=3, doubtful=doubtful)}))
            store.write_bytes(place.predictions, to_parquet(answers, vocabulary))
        return plan

    return give


def opponent(version):
    return Champion(version=version, checkpoint_uri="s3://c", checkpoint_sha256="0")


def test_a_decision_and_a_rollback_make_the_history_and_todays_scores(candidates, scored):
    store = candidates.store
    first = scored(candidates.make(passed=False, provisional=True))
    candidates.decide(first)
    model = state(store).model
    (own,) = model.versions
    assert (model.champion, model.provisional, model.champion_since, model.split, model.num_doubtful) == (1, True, own.at, "val", 3)
    assert (own.event, own.dataset, own.num_labelled, own.num_clips) == ("provisional", "d2", 22, 20)
    assert own.top1_now == own.top1 == pytest.approx(100 * store.read(Scores(first.evaluations[0].out)).action.top1, abs=0.1)
    (weak,) = model.weak_classes
    assert (weak.name, weak.num_clips, len(weak.uids)) == ("put meat", 20, 4)
    before = dict(store.objects)
    candidates.decide(first)
    assert store.objects == before

    candidates.decide(scored(candidates.make(champion=1), opponent(1)))
    model = state(store).model
    assert (model.champion, model.provisional, [known.event for known in model.versions]) == (2, False, ["promoted", "provisional"])
    assert all(known.top1_now is not None for known in model.versions)

    candidates.roll_back(1)
    model = state(store).model
    assert (model.champion, model.champion_since, model.num_doubtful) == (1, model.versions[0].at, 3)
    assert model.doubtful == {"of train": ("put", "meat", "take", "bag")}
    assert [(known.version, known.event) for known in model.versions] == [(1, "champion again"), (2, "promoted"), (1, "provisional")]
    assert (model.versions[0].reason, model.versions[0].top1) == ("Rolled back from v2: worse in the evening", own.top1)


def test_after_a_rollback_the_worst_classes_are_those_on_todays_clips(candidates, scored):
    candidates.decide(scored(candidates.make(passed=False, provisional=True), is_faultless=True, digest="d1"))
    assert state(candidates.store).model.weak_classes == ()
    candidates.decide(scored(candidates.make(champion=1), opponent(1)))
    candidates.roll_back(1)
    assert [weak.name for weak in state(candidates.store).model.weak_classes] == ["put meat"]


def test_a_decision_that_is_killed_before_any_write_is_in_the_summary_once(candidates, scored):
    num_killed, is_killed = 0, True
    while is_killed:
        plan = scored(candidates.make())
        candidates.store.dies_at = candidates.store.num_writes + num_killed
        try:
            candidates.decide(plan)
            is_killed = False
        except Killed:
            num_killed += 1
        candidates.store.dies_at = None
        candidates.decide(plan)
        versions = state(candidates.store).model.versions
        assert [known.version for known in versions] == list(range(len(versions), 0, -1))
        assert versions[0].run_key == plan.run_key
    assert num_killed > 3


def test_a_decision_on_an_older_dataset_leaves_todays_scores_as_they_are(candidates, scored):
    candidates.decide(scored(candidates.make()))
    candidates.store.write(Layout(STORE).latest_dataset, some(DatasetResult, digest="d3"))
    candidates.decide(scored(candidates.make(champion=1), opponent(1)))
    model = state(candidates.store).model
    assert (model.now_dataset, [known.top1_now is None for known in model.versions]) == ("d2", [True, False])


def test_a_decision_whose_evidence_is_gone_is_made_all_the_same(candidates, caplog):
    assert candidates.decide(candidates.make()).promoted
    assert state(candidates.store).model is None
    assert f"the summary keeps its earlier {MODEL.uri}" in caplog.text


def test_a_curve_that_comes_before_the_decision_is_in_its_summary(candidates, scored):
    plan = scored(candidates.make())
    gains = (CurveGain(times=2, num_clips=200, gain=0.04, interval=(0.0, 0.09)),)
    curve = some(LearningCurveResult, num_clips=100, curves=(some(TargetCurve, target="action", gains=gains),))
    candidates.store.write(Decision(plan.decision_uri).learning_curve, curve)
    candidates.decide(plan)
    model = state(candidates.store).model
    assert (model.expected_gain, model.gain_interval, model.gain_clips) == (4.0, (0.0, 9.0), 100)


def test_a_person_reads_words_and_a_program_json(bench, monkeypatch, capsys):
    bench.build()
    monkeypatch.setattr(Store, "from_settings", lambda settings: bench.store)
    for name in ("ENDPOINT", "ACCESS_KEY", "SECRET_KEY"):
        monkeypatch.setenv(f"RETAKE_STORE_{name}", "x")
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    for flags in ([], ["--json"]):
        assert main(["status", f"--store={STORE}", *flags]) == 0
        out = capsys.readouterr().out
        assert "no decision on a network is known yet" in out
        assert out.startswith("{") == bool(flags)


def test_answers_after_the_last_build_are_counted(bench):
    bench.build()
    page = Writer()
    page.clip(CLIPS[0], "put", "meat")
    append_to_log(bench.store, STORE, page.entries[0].statement, 0)
    assert "Build a dataset: 1 new label on the page Label." in [step.text for step in bench.run("status").next_steps]


def test_a_full_disk_is_told_also_before_there_is_a_cache(bench, monkeypatch, tmp_path):
    monkeypatch.setenv("RETAKE_CACHE_DIR", str(tmp_path / "later" / "cache"))

    def disk_usage(folder):
        Path(folder).stat()
        return shutil._ntuple_diskusage(100, 98, 2)

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)
    assert bench.run("status").next_steps[0].text == "Make room: only 2.0 % of the disk is free."


def test_two_datasets_are_compared():
    with pytest.raises(BadConfiguration, match="required: AFTER"):
        parse(["diff", "latest"])
    _, arguments = parse(["diff", "0123", "latest", "--json"])
    assert (arguments.before, arguments.after) == ("0123", "latest")
