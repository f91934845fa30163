"""Skip tasks that a run does not need when the task before them ends, without a process, container or pod of their own."""

from airflow.sdk import BaseXCom, Context
from airflow.sdk.bases.skipmixin import SkipMixin
from airflow.sdk.exceptions import AirflowSkipException

from dags._results import Reading


class Skipping(Reading, SkipMixin):
    """A task that skips those directly behind it that the run does not need."""

    inherits_from_skipmixin = True  # Airflow reads it, to skip those tasks again where they are cleared

    def why_needless(self, context: Context) -> str:
        """Say why a run does not need this task, by the context of the task before it; empty if it does."""
        return ""

    def refuse_needless(self, context: Context) -> None:
        """Skip this task by itself, where a person runs it alone.

        Raises:
            AirflowSkipException: the run does not need it.
        """
        if reason := self.why_needless(context):
            raise AirflowSkipException(reason)

    def skip_needless(self, returned: object, context: Context) -> None:
        """Skip the tasks behind, which ends this one. Airflow then drops the value it returned, so that it is kept here."""
        behind = [task for task in self.downstream_list if isinstance(task, Skipping)]
        needless = {task: reason for task in behind if (reason := task.why_needless(context))}
        for task, reason in needless.items():
            self.log.info("%s is skipped: %s", task.task_id, reason)
        if needless:
            if returned is not None:
                context["ti"].xcom_push(BaseXCom.XCOM_RETURN_KEY, returned)
            self.skip(context["ti"], needless)
