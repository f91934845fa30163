"""What a run skips, because the task before it sees that it is not needed, and which runs it starts, with which options."""

from types import SimpleNamespace

import jinja2
import pytest
from airflow.sdk.bases.skipmixin import XCOM_SKIPMIXIN_KEY
from airflow.sdk.exceptions import AirflowSkipException, DagRunTriggerException, DownstreamTasksSkipped

from dags import learning_curve, retrain, search
from tasks.options import LIGHT, EvaluateOptions, TrainOptions
from tasks.settings import TRAINING_PAGES
from tests.dags.conftest import defaults


@pytest.fixture
def ending():
    """Ends a task of `retrain` with a value, where others have returned these; gives what is skipped behind it, and its XComs."""

    def end(task_id, returned, results, **params):
        task, kept = retrain.dag.get_task(task_id), {}
        instance = SimpleNamespace(
            map_index=-1, xcom_push=lambda key, value: kept.update({key: value}), xcom_pull=lambda task_ids: results[task_ids]
        )
        about = {"ti": instance, "params": defaults(retrain.FORM) | params, "triggering_asset_events": {}, "run_id": "r"}
        try:
            task.skip_needless(returned, about)
        except DownstreamTasksSkipped as skipped:
            assert task.inherits_from_skipmixin
            assert kept.pop(XCOM_SKIPMIXIN_KEY) == {"skipped": skipped.tasks}, "Airflow skips them again where they are cleared"
            return set(skipped.tasks), kept
        return set(), kept

    return end


@pytest.mark.parametrize(
    ("plan", "skipped"),
    [
        ({"inputs": []}, {"prepare.flows", "prepare.sound"}),
        ({"inputs": ["sound"]}, {"prepare.flows"}),
        ({"inputs": ["flow", "sound"]}, set()),
        ({}, set()),
    ],
    ids=["frames alone", "sound", "both", "plan of an older version"],
)
def test_inputs_that_no_network_needs_are_not_made(ending, plan, skipped):
    assert ending("prepare.ask", None, {"prepare.plan": plan})[0] == skipped


@pytest.mark.parametrize("awaits", [True, False])
def test_nobody_is_asked_where_no_approval_is_needed_and_the_result_stays(ending, awaits):
    skipped, kept = ending("publish.register", {"version": 3}, {"publish.report": {"awaits_approval": awaits}})
    assert (skipped, kept) == ((set(), {}) if awaits else ({"publish.approve"}, {"return_value": {"version": 3}}))


@pytest.mark.parametrize(("export", "skipped"), [("off", {"export"}), ("onnx", set())])
def test_a_package_is_made_only_where_the_form_asks_for_it(ending, export, skipped):
    assert ending("publish.decide", {"promoted": True}, {}, export=export)[0] == skipped


OPTIONS = {"store": "s3://retake", "dataset": "s3://retake/datasets/d/", **LIGHT.model_dump(mode="json", exclude_defaults=True)}

URLS = {"mlflow_run_url": "http://mlflow/run", "report_url": "http://mlflow/report"}


@pytest.fixture
def winner():
    """The task, and the result of `report` that its templates and itself see."""
    task = search.dag.get_task("retrain")

    def make(starts_retrain):
        result = {"starts_retrain": starts_retrain, "retrain": OPTIONS, "retrain_run_id": "search__0123456789abcdef", **URLS}
        instance = SimpleNamespace(xcom_pull=lambda task_ids: {"report": result}[task_ids])
        own = task.prepare_for_execution()
        own.conf, own.trigger_run_id = (jinja2.Template(text).render(ti=instance) for text in (task.conf, task.trigger_run_id))
        return own, {"ti": instance}

    return make


def test_retrain_starts_once_with_the_winners_options(winner):
    task, context = winner(starts_retrain=True)
    with pytest.raises(DagRunTriggerException) as started:
        task.execute(context)
    assert (started.value.trigger_dag_id, started.value.dag_run_id) == ("retrain", "search__0123456789abcdef")
    assert started.value.conf == OPTIONS
    assert started.value.skip_when_already_exists
    assert not started.value.reset_dag_run


def test_nothing_starts_where_the_form_does_not_ask_for_it_and_the_report_is_one_click_away(winner):
    task, context = winner(starts_retrain=False)
    with pytest.raises(AirflowSkipException, match="Retrain the winner"):
        task.execute(context)
    assert {link.get_link(task, ti_key=None) for link in task.operator_extra_links[-2:]} == {
        f"{URLS['mlflow_run_url']}?{TRAINING_PAGES}",
        URLS["report_url"],
    }


def test_retrain_knows_every_option_that_it_is_given():
    known = {name for model in retrain.FORM.models() for name in model.model_fields}
    given = {*TrainOptions.model_fields, *EvaluateOptions.model_fields, "store", "dataset", "model_name"}
    assert given <= known


@pytest.mark.parametrize(
    ("is_asked", "awaits", "starts"),
    [(True, True, True), (False, True, False), (True, False, False)],
    ids=["drawn", "switched off", "none to draw"],
)
def test_a_learning_curve_starts_in_the_store_of_its_run_where_the_form_asks_and_the_report_awaits_it(context, is_asked, awaits, starts):
    task = retrain.dag.get_task("learning_curve").prepare_for_execution()
    event = {"store": "s3://theirs", "params": {"learning_curve": is_asked}}
    about = context(defaults(retrain.FORM), event)
    about["ti"].xcom_pull = lambda task_ids: {"publish.report": {"awaits_curve": awaits}}[task_ids]
    with pytest.raises(DagRunTriggerException if starts else AirflowSkipException) as ended:
        task.execute(about)
    if starts:
        assert (ended.value.trigger_dag_id, ended.value.skip_when_already_exists) == ("learning_curve", True)
        assert ended.value.conf == {"store": "s3://theirs", "plan": retrain.PLAN}
        assert learning_curve.FORM.params().keys() == ended.value.conf.keys()


@pytest.mark.parametrize("wanted", ["off", "openvino-int8"])
def test_a_package_is_made_by_a_step_only_where_the_form_asks_for_it(context, monkeypatch, wanted):
    task = retrain.dag.get_task("export").prepare_for_execution()
    started = []
    monkeypatch.setattr(type(task), "run_step", lambda self, flags, context: started.append(flags) or {"mlflow_run_url": "http://mlflow"})
    about = context(defaults(retrain.FORM) | {"export": wanted})
    if wanted == "off":
        with pytest.raises(AirflowSkipException, match="the option export is off"):
            task.execute(about)
        assert not started
    else:
        task.execute(about)
        assert "--export=openvino-int8" in started[0]
        assert task.mlflow_run_url == "http://mlflow"
