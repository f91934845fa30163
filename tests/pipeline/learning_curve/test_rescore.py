"""Earlier versions on the clips that decided last: which are scored, on which clips, and what is written of it."""

import json

import pytest

from tasks.errors import BadConfiguration, NothingToDo
from tasks.store.layout import Layout
from tasks.store.records.dataset import DatasetResult
from tasks.store.records.training import Teacher, UnlabelledClips
from tasks.store.run_layout import Decision
from tests.data.labels.records import clip_record, video_of
from tests.loop.statuses import model_status, version
from tests.pipeline.compare_versions.versions import PUT, TAKE, Versions
from tests.pipeline.in_process import STORE
from tests.pipeline.shelf import plan_result
from tests.records import some

pytestmark = pytest.mark.slow

KEYS = [f"{number:016x}" for number in range(5)]
LATEST = Layout(STORE).dataset("latest")
MODEL = Layout(STORE).status.of_model("cook").model


class History(Versions):
    """Versions 1 and 2 of other datasets, and a decision on version 3 by the test split of the latest one."""

    def decide(self):
        run = Layout(STORE).run(KEYS[3])
        placed = {"run_key": KEYS[3], "run_uri": run.folder_uri, "decision_uri": run.decision("d").folder_uri}
        plan = plan_result(**placed, dataset_uri=LATEST.folder_uri, dataset_digest="latest", deciding_split="test", model_name="cook")
        few = plan.evaluate.model_copy(update={"crops": 1, "engine": "pytorch"})
        self.plan = plan.model_copy(update={"evaluate": few})
        self.store.write(run.decision("d").plan, self.plan)
        versions = tuple(
            version(number, f"2026-11-0{number}", run_key=KEYS[number], dataset="d", top1_now=1.0 if number == 3 else None)
            for number in (4, 3, 2, 1)
        )
        self.store.write(MODEL, model_status(model_name="cook", versions=versions, now_dataset="latest", now_split="test"))

    def rescore(self):
        return self.run("rescore", plan=Decision(self.plan.decision_uri).plan.folder_uri)

    def now(self):
        return {known.version: (known.top1_now, known.num_left_out) for known in self.store.read(MODEL).versions}


@pytest.fixture
def history(films, mlflow, machine, monkeypatch):
    monkeypatch.setattr("os.nice", lambda _: None)
    made = History(films, mlflow)
    made.train(KEYS[1], made.dataset("older", a="train", b="val"), PUT)
    made.train(KEYS[2], made.dataset("newer", a="train", d="train"), TAKE)
    made.dataset("latest", a="train", b="train", d="test", e="test")
    made.decide()
    return made


def test_a_decision_by_an_engine_that_is_gone_is_not_scored_again(history):
    place = Decision(history.plan.decision_uri).plan
    plan = history.plan.model_dump(mode="json")
    history.store.write_bytes(place.uri, json.dumps(plan | {"evaluate": plan["evaluate"] | {"engine": "openvino-int8"}}).encode())
    with pytest.raises(BadConfiguration, match="options that were removed: engine=openvino-int8"):
        history.rescore()


def test_earlier_versions_are_scored_once_without_the_films_that_trained_them(history, monkeypatch):
    result = history.rescore()
    assert [(own.version, own.num_clips, own.num_left_out) for own in result.versions] == [(2, 2, 2), (1, 4, 0)]
    assert history.now() == {4: (None, 0), 3: (1.0, 0), 2: (50.0, 2), 1: (75.0, 0)}
    assert {(look.kind, look.networks, look.split) for look in history.looks()} == {
        ("history", (key,), "test") for key in (KEYS[1], KEYS[2])
    }
    assert all(own.scores_uri.startswith(f"{history.plan.run_uri}evaluate/") for own in result.versions)
    before = dict(history.store.objects)
    assert history.rescore() == result
    assert history.store.objects == before

    # A try that was cut off has scored them, and the next one finds that.
    history.store.remove(Decision(history.plan.decision_uri).rescore.uri)
    history.decide()
    monkeypatch.setattr("tasks.pipeline.learning_curve.rescore.make_ready", None)
    assert history.rescore() == result
    assert history.now()[1] == (75.0, 0)


def test_films_that_taught_a_version_without_a_label_are_left_out_for_it(history):
    student = Layout(STORE).run(KEYS[1])
    plan = history.store.read(student.decision("d").plan)
    teacher = Teacher(name="t", run_key="", checkpoint_uri="", checkpoint_sha256="")
    history.store.write(student.decision("d").plan, plan.model_copy(update={"teacher": teacher}))
    history.store.write(student.train.unlabelled, UnlabelledClips(clips=(clip_record(video_of("e")),)))
    assert [(own.version, own.num_clips) for own in history.rescore().versions] == [(2, 2), (1, 2)]


def test_a_version_that_cannot_be_scored_is_left_out_and_named(history, caplog):
    history.store.remove(Layout(STORE).dataset("newer").manifest.uri)
    assert [own.version for own in history.rescore().versions] == [1]
    assert "version 2 is not scored: " in caplog.text


def test_there_is_nothing_to_do_without_a_checkpoint_a_history_or_the_latest_dataset(history):
    for key in KEYS[1:3]:
        history.store.remove(Layout(STORE).run(key).train.best)
    with pytest.raises(NothingToDo, match="no earlier version with a checkpoint"):
        history.rescore()
    history.store.remove(MODEL.uri)
    with pytest.raises(NothingToDo, match="no earlier version with a checkpoint"):
        history.rescore()
    history.store.write(Layout(STORE).latest_dataset, some(DatasetResult, digest="newest"))
    with pytest.raises(NothingToDo, match="a newer dataset"):
        history.rescore()


def test_a_decision_that_ends_meanwhile_on_other_clips_keeps_its_scores(history, monkeypatch):
    newer = history.store.read(MODEL).model_copy(update={"now_split": "val"})
    monkeypatch.setattr("tasks.pipeline.learning_curve.rescore.record_look", lambda *_, **__: history.store.write(MODEL, newer))
    history.rescore()
    assert history.store.read(MODEL) == newer
    history.store.remove(Decision(history.plan.decision_uri).rescore.uri)
    with pytest.raises(NothingToDo, match="on other clips"):
        history.rescore()
