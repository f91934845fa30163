"""A task behind one that was marked as success by hand, which has no result, says so."""

from types import SimpleNamespace

import pytest
from airflow.sdk.exceptions import AirflowFailException

from dags import compare_networks, forget, predict_videos, retrain, search
from tests.dags.conftest import defaults


@pytest.fixture
def behind():
    """A task, and its context in a run in which no task has left a result."""

    def make(dag_file, task_id):
        task = dag_file.dag.get_task(task_id)
        instance = SimpleNamespace(xcom_pull=lambda **_: None, map_index=-1)
        about = {"ti": instance, "params": defaults(dag_file.FORM), "triggering_asset_events": {}, "run_id": "r", "task": task}
        return task if task.is_mapped else task.prepare_for_execution(), about

    return make


@pytest.mark.parametrize(
    ("dag_file", "task_id", "marked"),
    [
        (retrain, "train", "prepare.plan"),
        (retrain, "prepare.ask", "prepare.plan"),
        (retrain, "publish.approve", "publish.register"),
        (search, "retrain", "report"),
        (search, "round_1.suggest", "plan"),
        (compare_networks, "tabulate", "configure"),
        (predict_videos, "report", "plan"),
        (forget, "ask", "list"),
    ],
)
def test_a_template_names_the_task_that_left_no_result_and_the_remedy(behind, dag_file, task_id, marked):
    task, context = behind(dag_file, task_id)
    with pytest.raises(AirflowFailException, match=f"^{marked} left no result.*marked as success by hand; clear it"):
        task.render_template_fields(context)


@pytest.mark.parametrize(
    ("dag_file", "task_id", "marked"),
    [
        (retrain, "prepare.ask", "prepare.plan"),
        (retrain, "prepare.sound", "prepare.plan"),
        (retrain, "publish.approve", "publish.report"),
        (retrain, "learning_curve", "publish.report"),
        (search, "retrain", "report"),
    ],
)
def test_a_task_that_reads_a_result_itself_does_so_too(behind, dag_file, task_id, marked):
    task, context = behind(dag_file, task_id)
    with pytest.raises(AirflowFailException, match=f"^{marked} left no result"):
        task.execute(context)
