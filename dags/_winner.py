"""Start `retrain` with the winner of a search."""

from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from dags._step import MlflowRunLink, ReportLink


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
