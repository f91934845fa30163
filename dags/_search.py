"""Start the rounds of a search, and `retrain` with its winner."""

from datetime import timedelta
from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import BaseOperator, Context, TaskGroup
from airflow.sdk.exceptions import AirflowSkipException

from dags._form import Form
from dags._step import MlflowRunLink, ReportLink
from dags._tasks import mapped_step_task, step_task
from tasks.options.search import MAX_ROUNDS
from tasks.pipeline.search import contract as search

SEARCH = "{{ ti.xcom_pull(task_ids='plan')['search_uri'] }}"


class RetrainWinner(TriggerDagRunOperator):
    """Trigger `retrain` with the winner's options, once per winner.

    Skipped if the form does not ask for it. It has the buttons of the report, because it is the last task of a search.

    Args:
        report: id of the task whose result is a `SearchReportResult`.
    """

    operator_extra_links = [*TriggerDagRunOperator.operator_extra_links, MlflowRunLink(), ReportLink()]  # noqa: RUF012 - as Airflow declares it

    def __init__(self, *, report: str, **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's own arguments
        result = f"ti.xcom_pull(task_ids='{report}')"
        super().__init__(
            **{
                "queue": "cpu",
                "trigger_dag_id": "retrain",
                "trigger_run_id": f"{{{{ {result}['retrain_run_id'] }}}}",
                "conf": f"{{{{ {result}['retrain'] | tojson }}}}",
                "skip_when_already_exists": True,
                **kwargs,
            }
        )
        self.report = report
        self.mlflow_run_url = self.report_url = ""

    def execute(self, context: Context) -> Any:  # noqa: ANN401 - as the parent has it
        """Trigger the run.

        Raises:
            AirflowSkipException: the form does not ask for it, or an earlier try has started it.
        """
        result = context["ti"].xcom_pull(task_ids=self.report)
        self.mlflow_run_url, self.report_url = result["mlflow_run_url"], result["report_url"]
        if not result["starts_retrain"]:
            raise AirflowSkipException("the setting *Retrain the winner* is off")
        return super().execute(context)


def add_rounds(before: list[BaseOperator], form: Form) -> list[BaseOperator]:
    """Add as many rounds as a form can ask for, in sequence behind the tasks `before`.

    Returns the last task of each round. Airflow's graphs have no loops. The rounds that a form does not ask for are skipped.
    """
    gathered: list[BaseOperator] = []
    for number in range(1, MAX_ROUNDS + 1):
        with TaskGroup(f"round_{number}", tooltip="Suggestions from all earlier rounds, their trainings, and the best so far"):
            gathered.append(_round(number, gathered[-1:] or before, form))
    return gathered


def _round(number: int, before: list[BaseOperator], form: Form) -> BaseOperator:
    suggest = step_task(
        search.SUGGEST,
        form,
        search=SEARCH,
        round=str(number),
        returns="batches",
        trigger_rule="none_failed_min_one_success",  # without another clip length, `recut` is skipped
        execution_timeout=timedelta(minutes=30),
    )
    trials = mapped_step_task(
        search.TRAIN_TRIALS,
        form,
        over=suggest.output,
        search=SEARCH,
        batch="{{ task.mapped.uri }}",
        map_index_template="{{ task.mapped.name }}",
        execution_timeout=timedelta(days=3),
    )
    failures = f"{{{{ ti.xcom_pull(task_ids=['round_{number}.{search.TRAIN_TRIALS.task_id}'], key='failure') | select | list | tojson }}}}"
    gather = step_task(
        search.GATHER,
        form,
        search=SEARCH,
        round=str(number),
        failures=failures,
        trigger_rule="all_done_min_one_success",  # a failed trial does not fail the search
        execution_timeout=timedelta(minutes=30),
    )
    before >> suggest >> trials >> gather
    suggest >> gather
    return gather
