"""A task behind one that was marked as success by hand, which has no result, says so."""

import pytest
from airflow.sdk.exceptions import AirflowFailException
from jinja2 import UndefinedError

from dags import compare_networks, forget, predict_videos, retrain, search
from tests.dags.conftest import defaults

BATCH = {"uri": "s3://b/batches/0000.json", "name": "a.mp4"}


@pytest.fixture
def behind(context):
    """A task, and its context in a run in which no task has left a result but those that are given."""

    def make(dag_file, task_id, **results):
        task = dag_file.dag.get_task(task_id)
        task = task.unmap({"mapped": BATCH}) if task.is_mapped else task.prepare_for_execution()
        return task, context(defaults(dag_file.FORM), results=results) | {"task": task}

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
        (predict_videos, "cut", "plan"),
        (forget, "ask", "list"),
    ],
)
def test_a_template_names_the_task_that_left_no_result_and_the_remedy(behind, dag_file, task_id, marked):
    task, context = behind(dag_file, task_id)
    with pytest.raises(AirflowFailException, match=f"^{marked} left no result.*marked as success by hand; clear it"):
        task.render_template_fields(context)


def test_of_several_tasks_that_a_template_names_it_names_the_one_without_a_result(behind):
    task, context = behind(forget, "ask", list={"question": "?"})
    task.body = "{{ ti.xcom_pull(task_ids='list')['question'] }} {{ ti.xcom_pull(task_ids='forget', map_indexes=ti.map_index)['models'] }}"
    with pytest.raises(AirflowFailException, match="forget left no result"):
        task.render_template_fields(context)


def test_a_template_that_is_wrong_itself_blames_no_task(behind):
    task, context = behind(forget, "ask")
    task.body = "{{ ti.xcom_pull(task_ids='list', key='result').question.text }}"
    context["ti"].xcom_pull = lambda **_: {"questions": 1}
    with pytest.raises(UndefinedError):
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
