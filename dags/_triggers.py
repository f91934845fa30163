"""Start runs of other DAGs: learning curves, runs with the preset `auto`, retrained winners."""

from typing import Any

from airflow.providers.standard.operators.trigger_dagrun import TriggerDagRunOperator
from airflow.sdk import Context
from airflow.sdk.exceptions import AirflowSkipException

from dags._approval import ANSWER, USE_AUTO
from dags._form import Form, given_options, resolve
from dags._results import Reading, result_of
from dags._step import MlflowRunLink, ReportLink
from tasks.options import TrainOptions


class TriggerOnce(Reading, TriggerDagRunOperator):
    """Trigger a run once: a later try finds the run, and is skipped."""

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's own arguments
        super().__init__(**{"queue": "cpu", "skip_when_already_exists": True, **kwargs})


class DrawCurve(TriggerOnce):
    """Trigger `learning_curve` for a report that awaits a curve, if the form asks for it.

    Args:
        form: the options of `retrain`.
        plan: template of the address of its plan.
        report: id of the task whose result is a `ReportResult`.
    """

    def __init__(self, *, form: Form, plan: str, report: str, **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's own arguments
        run = {"trigger_dag_id": "learning_curve", "trigger_run_id": "curve__{{ run_id }}", "conf": {"plan": plan}}
        super().__init__(**{**run, **kwargs})
        self.form = form
        self.report = report

    def execute(self, context: Context) -> Any:  # noqa: ANN401 - as the parent has it
        """Trigger the run; skip if there is no curve to draw."""
        values = resolve(context, self.form)
        if not values["learning_curve"] or not result_of(self.report, context)["awaits_curve"]:
            raise AirflowSkipException("no learning curve is drawn; the report says why")
        self.conf = {"store": values["store"], **(self.conf or {})}
        return super().execute(context)


class UseAuto(TriggerOnce):
    """Trigger the DAG with the preset `auto`, if a person asked for that instead.

    Args:
        form: the DAG's options.
        question: id of the `AskOperator`.
    """

    def __init__(self, *, form: Form, question: str, **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's own arguments
        super().__init__(**{"trigger_run_id": "auto__{{ run_id }}", **kwargs})
        self.form = form
        self.question = question

    def execute(self, context: Context) -> Any:  # noqa: ANN401 - as the parent has it
        """Trigger the run with this run's options but the training's; skip without that answer."""
        if USE_AUTO not in context["ti"].xcom_pull(task_ids=[self.question], key=ANSWER):
            raise AirflowSkipException("nobody asked for the preset auto")
        # Presets leave label noise as it is.
        replaced = TrainOptions.model_fields.keys() - {"label_noise"}
        given = {name: value for name, value in given_options(context, self.form).items() if name not in replaced}
        self.conf = {**given, "preset": "auto"}
        return super().execute(context)


class RetrainWinner(TriggerOnce):
    """Trigger `retrain` with the winner's options once, if the form asks for it.

    It has the buttons of the report, because it is the last task of a search.

    Args:
        report: id of the task whose result is a `SearchReportResult`.
    """

    operator_extra_links = [*TriggerDagRunOperator.operator_extra_links, MlflowRunLink(), ReportLink()]  # noqa: RUF012 - as Airflow declares it

    def __init__(self, *, report: str, **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's own arguments
        result = f"ti.xcom_pull(task_ids='{report}')"
        run = {"trigger_run_id": "{{ " + result + "['retrain_run_id'] }}", "conf": "{{ " + result + "['retrain'] | tojson }}"}
        super().__init__(**{"trigger_dag_id": "retrain", **run, **kwargs})
        self.report = report
        self.mlflow_run_url = self.report_url = ""  # read by the links

    def execute(self, context: Context) -> Any:  # noqa: ANN401 - as the parent has it
        """Trigger the run; skip if the form does not ask for it."""
        result = result_of(self.report, context)
        self.mlflow_run_url, self.report_url = result["mlflow_run_url"], result["report_url"]
        if not result["starts_retrain"]:
            raise AirflowSkipException("the setting *Retrain the winner* is off")
        return super().execute(context)
