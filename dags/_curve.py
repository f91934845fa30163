"""Start the learning curve of a training."""

from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from dags._form import Form, resolve


class DrawCurve(TriggerDagRunOperator):
    """Trigger `learning_curve` once for a report that awaits a curve, if the form asks for it.

    Args:
        form: the options of `retrain`.
        plan: template of the address of its plan.
        report: id of the task whose result is a `ReportResult`.
    """

    def __init__(self, *, form: Form, plan: str, report: str, **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's own arguments
        once = {"trigger_run_id": "curve__{{ run_id }}", "skip_when_already_exists": True}
        super().__init__(**{"queue": "cpu", "trigger_dag_id": "learning_curve", "conf": {"plan": plan}, **once, **kwargs})
        self.form = form
        self.report = report

    def execute(self, context: Context) -> Any:  # noqa: ANN401 - as the parent has it
        """Trigger the run.

        Raises:
            AirflowSkipException: there is no curve to draw, or an earlier try has started it.
        """
        values = resolve(context, self.form)
        if not values["learning_curve"] or not context["ti"].xcom_pull(task_ids=self.report)["awaits_curve"]:
            raise AirflowSkipException("no learning curve is drawn; the report says why")
        self.conf = {"store": values["store"], **(self.conf or {})}
        return super().execute(context)
