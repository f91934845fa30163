"""The sentence and the advice on a state of the loop: an example of each rule, and any state at all."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings

from tasks.loop.next_steps import ActiveRun, Approval, Live, next_steps, sentence
from tasks.loop.page_answers import PageAnswers
from tasks.settings import QUIET_DAYS
from tasks.store.records.status import LoopStatus, WeakClass
from tests.loop.statuses import NOW, STORE, any_live, any_model, any_status, model_status, status
from tests.records import some

EMPTY = LoopStatus(store=STORE, model_name="retake-tsn")
SILENT = Live()


def texts(state, live=SILENT):
    return [step.text for step in next_steps(state, live, str)]


@settings(max_examples=50)
@given(any_status, any_live)
def test_there_is_always_a_sentence_and_a_step_whatever_is_known(state, live):
    steps = next_steps(state, live, lambda path: f"http://airflow{path}")
    assert steps
    assert all(step.url.startswith("http://airflow") or not step.url for step in steps)
    assert sentence(state, live.now).endswith((".", "…"))


@settings(max_examples=50)
@given(any_model)
def test_the_sentence_names_the_champion_and_its_numbers(model):
    state = EMPTY.model_copy(update={"model": model})
    if version := next((own for own in model.versions if own.version == model.champion), None):
        score = version.top1 if version.top1_now is None or version.interval_now is None else version.top1_now
        assert f"v{version.version} " in sentence(state)
        assert f"{score:.0f} % of actions [" in sentence(state)


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (status(), "Champion v2 names 40 % of actions [11, 75] on 15 clips; provisional; since 20:41 UTC."),
        (
            status(model=model_status(now_dataset="d2", champion=1, provisional=False, champion_since="2026-10-30T08:00:00.000Z")),
            "Champion v1 names 40 % of actions [11, 75] on 15 clips; since 2026-10-30 08:00 UTC.",
        ),
        (
            status(
                model=model_status(
                    versions=tuple(own.model_copy(update={"top1_now": None}) for own in model_status().versions), champion_since=None
                )
            ),
            "Champion v2 named 30 % of actions [8, 60] on the 15 clips of its decision; provisional.",
        ),
        (
            status(model=model_status(champion=7, provisional=False, champion_since=None)),
            "Champion v7 has no scores here: it was decided on before the history began.",
        ),
        (status(model=model_status(champion=None)), "There is no champion yet; v2 names 40 % of actions [11, 75] on 15 clips."),
        (status(model=model_status(champion=None, versions=())), "There is no champion yet; no version has been decided on."),
        (status(model=None), "Dataset d2 has train 20, val 15, test 5 clips; no decision on a network is known yet."),
        (status(model=None, dataset=None), "40 of 300 clips are labelled; there is no dataset yet."),
        (
            status(model=None, dataset=None, labels=status().labels.model_copy(update={"num_clips": 1, "num_labelled": 0})),
            "0 of 1 clip is labelled; there is no dataset yet.",
        ),
        (status(model=None, dataset=None, labels=None), "12 videos came in; no clip has been looked at for labels yet."),
        (
            EMPTY,
            "Nothing is known of s3://retake yet: it is empty, or an earlier version filled it, and each part appears with its next run.",
        ),
    ],
)
def test_the_sentence_has_a_form_for_each_state(state, told):
    assert sentence(state, NOW) == told


def test_clips_that_trained_a_version_are_not_among_those_that_it_is_said_to_be_scored_on():
    model = model_status(champion=1, provisional=False)
    left_out = model.model_copy(update={"versions": (model.versions[0], model.versions[1].model_copy(update={"num_left_out": 4}))})
    assert "on 11 clips" in sentence(status(model=left_out))


def run_of(dag):
    return ActiveRun(dag_id=dag, run_id="r", state="running", since=NOW, started_by="", waits_for="", url="/r")


QUIET = (datetime.fromisoformat("2026-11-29T20:41:00Z") + timedelta(days=QUIET_DAYS)).isoformat()


@pytest.mark.parametrize(
    ("state", "live", "told"),
    [
        (status(), Live(approvals=(Approval("promote v3?", "/x", NOW),)), "Answer the question: promote v3?"),
        (status(), Live(approvals=(Approval("promote v3?", "/x", NOW),) * 3), "Answer the question: promote v3? (2 more)."),
        (status(), Live(import_errors=("retrain.py",)), "Mend what Airflow cannot import: retrain.py."),
        (status(), Live(disk_free_share=0.04), "Make room: only 4.0 % of the disk is free."),
        (
            EMPTY,
            SILENT,
            "Begin, unless an earlier version filled the store: put videos into s3://retake/inbox/, or name a folder in the form.",
        ),
        (status(), SILENT, "Mend 5 doubtful labels."),
        (
            status(),
            SILENT,
            "Label the 12 clips that the latest prediction chose; expected gain of 200 more labels: +4.0 points [0.5, 9.0].",
        ),
        (status(predictions=None, model=model_status(expected_gain=None)), SILENT, "Label the 260 clips without a label, or some of them."),
        (status(predictions=None, model=None), Live(answers=PageAnswers(num_clips=259)), "Label the 1 clip without a label."),
        (status(), Live(answers=PageAnswers(num_labels=23)), "Build a dataset: 23 new labels on the page Label."),
        (status(), Live(answers=PageAnswers(num_merges=1)), "Build a dataset: 1 merged name on the page Label."),
        (
            status(),
            Live(answers=PageAnswers(num_labels=1, num_merges=2)),
            "Build a dataset: 1 new label and 2 merged names on the page Label.",
        ),
        (status(training=None), SILENT, "Train: no training on the latest dataset is known."),
        (status(), SILENT, "See why 3 files were set aside: a.mp4: broken."),
        (status(), SILENT, "Bring videos of 'put meat' (1 of 5 right)."),
        (status(), Live(now=QUIET), "See whether videos still arrive: nothing new has come for 14 days."),
        (status(), SILENT, "Predict videos that champion v2 was not trained on."),
        (status(model=None), SILENT, "Bring more videos, of several recordings for each action."),
    ],
)
def test_each_rule_speaks_where_it_holds(state, live, told):
    assert told in texts(state, live)


@pytest.mark.parametrize(("has_videos", "begins"), [(None, "Begin, unless"), (False, "Begin: put videos"), (True, "")])
def test_only_a_store_without_videos_is_told_to_begin(has_videos, begins):
    (told,) = [text for text in texts(EMPTY, Live(has_videos=has_videos)) if text.startswith("Begin")] or [""]
    assert told.startswith(begins)
    assert bool(told) == bool(begins)
    assert texts(EMPTY, Live(has_videos=has_videos))


def test_the_rules_are_silent_where_they_do_not_hold():
    calm = status(
        films=status().films.model_copy(update={"num_set_aside": 0}),
        labels=status().labels.model_copy(update={"num_labelled": 300}),
        predictions=None,
        model=model_status(num_doubtful=0, weak_classes=(some(WeakClass, num_right=3, num_clips=4),)),
    )
    live = Live(now=NOW, approvals=(), runs=(), import_errors=(), answers=PageAnswers(), disk_free_share=0.5)
    assert texts(calm, live) == ["Predict videos that champion v2 was not trained on."]
    assert not any(
        "Build" in text for text in texts(calm, replace(live, answers=PageAnswers(num_labels=23), runs=(run_of("build_dataset"),)))
    )
    assert not any("Train" in text for text in texts(status(training=None), Live(runs=(run_of("retrain"),))))


def test_clips_that_a_prediction_chose_are_labelled_once_none_is_left():
    done = status().labels.model_copy(update={"num_labelled": 300})
    assert not any("Label" in text for text in texts(status(labels=done)))
    before = done.model_copy(update={"at": "2026-01-01T00:00:00.000Z"})
    assert any("12 clips" in text for text in texts(status(labels=before)))


def test_clips_that_somebody_was_unsure_of_are_not_to_be_labelled():
    unsure = status().labels.model_copy(update={"num_labelled": 290, "num_unsure": 10})
    for predictions in (None, status().predictions):
        assert not any("Label" in text for text in texts(status(labels=unsure, predictions=predictions)))


def test_doubtful_labels_lead_to_their_list_and_are_those_that_the_page_still_shows():
    model = model_status(num_doubtful=9, doubtful={f"c{number}": ("put", "meat", "take", "bag") for number in range(6)})
    first = next_steps(status(model=model), Live(answers=PageAnswers(num_settled=2)), str)[0]
    assert (first.text, first.url) == ("Mend 4 doubtful labels.", "/retake/label/?store=s3://retake#show=suspicious")
    assert not any("Mend" in text for text in texts(status(model=model), Live(answers=PageAnswers(num_settled=6))))


def test_clips_that_were_answered_since_the_last_build_are_no_longer_to_be_labelled():
    answers = PageAnswers(num_labels=250, num_clips=260, num_chosen=12)
    assert texts(status(model=None), Live(answers=answers))[0] == "Build a dataset: 250 new labels on the page Label."
    assert not any("Build" in text for text in texts(status(labels=None), Live(answers=PageAnswers(num_labels=2, num_merges=2))))
    some_left = Live(answers=PageAnswers(num_labels=7, num_clips=7, num_chosen=7))
    assert "Label the 5 clips that the latest prediction chose." in texts(status(model=None), some_left)
    assert "Label the 253 clips without a label, or some of them." in texts(status(model=None, predictions=None), some_left)


def test_during_a_stores_first_training_it_is_told_to_wait_for_it_and_not_to_bring_more_films():
    first = status(model=None, predictions=None, labels=status().labels.model_copy(update={"num_labelled": 300}))
    step = next_steps(first, Live(runs=(run_of("retrain"),)), str)[0]
    assert (step.text, step.url) == ("Wait for the training: retrain is running.", "/r")
    paused = replace(run_of("retrain"), state="queued", waits_for="its DAG, which is paused")
    assert texts(first, Live(runs=(paused,)))[0] == "Wait for the training: retrain waits for its DAG, which is paused."
    assert not any("Bring more videos" in text for text in texts(first, Live(runs=(run_of("retrain"),))))


def test_a_question_comes_first_and_leads_to_where_it_is_answered():
    first, second, *_ = next_steps(status(), Live(approvals=(Approval("promote v3?", "/required_actions", NOW),)), lambda path: f"a{path}")
    assert first.url == "a/required_actions"
    assert second.url == "a/retake/label/?store=s3://retake#show=suspicious"


def test_a_store_without_a_plan_leads_to_a_form_that_names_no_model():
    steps = next_steps(LoopStatus(store=STORE, model_name="", dataset=status().dataset), SILENT, str)
    (train,) = [step.url for step in steps if step.text.startswith("Train")]
    assert json.loads(parse_qs(urlsplit(train).query)["conf"][0]) == {"store": STORE}
