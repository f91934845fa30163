"""A run skips tasks that the task before them sees are not needed."""

import pytest
from airflow.sdk.bases.skipmixin import XCOM_SKIPMIXIN_KEY
from airflow.sdk.exceptions import AirflowSkipException, DownstreamTasksSkipped

from dags import retrain
from tests.dags.conftest import defaults


@pytest.fixture
def ending(context):
    """Ends a task of `retrain` with a value, where others have returned these; gives what is skipped behind it, and its XComs."""

    def end(task_id, returned, results, **params):
        task, about = retrain.dag.get_task(task_id), context(defaults(retrain.FORM) | params, results=results)
        kept = about["ti"].pushed
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


def test_a_package_is_made_by_a_step_only_where_the_form_asks_for_it(context, monkeypatch):
    task = retrain.dag.get_task("export").prepare_for_execution()
    started = []
    monkeypatch.setattr(type(task), "run_step", lambda self, flags, context: started.append(flags) or {"mlflow_run_url": "http://mlflow"})
    with pytest.raises(AirflowSkipException, match="the option export is off"):
        task.execute(context(defaults(retrain.FORM) | {"export": "off"}))
    assert not started
    task.execute(context(defaults(retrain.FORM) | {"export": "openvino-int8"}))
    assert "--export=openvino-int8" in started[0]
    assert task.mlflow_run_url == "http://mlflow"
