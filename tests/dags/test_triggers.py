"""The runs of other DAGs that a run starts, and their options."""

import jinja2
import pytest
from airflow.sdk.exceptions import AirflowSkipException, DagRunTriggerException

from dags import learning_curve, retrain, search
from tasks.options import LIGHT, EvaluateOptions, TrainOptions
from tasks.settings import TRAINING_PAGES
from tests.dags.conftest import defaults

OPTIONS = {"store": "s3://retake", "dataset": "s3://retake/datasets/d/", **LIGHT.model_dump(mode="json", exclude_defaults=True)}

URLS = {"mlflow_run_url": "http://mlflow/run", "report_url": "http://mlflow/report"}


@pytest.fixture
def winner(context):
    """The task, and the result of `report` that its templates and itself see."""
    task = search.dag.get_task("retrain")

    def make(starts_retrain):
        result = {"starts_retrain": starts_retrain, "retrain": OPTIONS, "retrain_run_id": "search__0123456789abcdef", **URLS}
        about, own = context({}, results={"report": result}), task.prepare_for_execution()
        own.conf, own.trigger_run_id = (jinja2.Template(text).render(ti=about["ti"]) for text in (task.conf, task.trigger_run_id))
        return own, about

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
    about = context(defaults(retrain.FORM), event, results={"publish.report": {"awaits_curve": awaits}})
    with pytest.raises(DagRunTriggerException if starts else AirflowSkipException) as ended:
        task.execute(about)
    if starts:
        assert (ended.value.trigger_dag_id, ended.value.skip_when_already_exists) == ("learning_curve", True)
        assert ended.value.conf == {"store": "s3://theirs", "plan": retrain.PLAN}
        assert learning_curve.FORM.params().keys() == ended.value.conf.keys()
