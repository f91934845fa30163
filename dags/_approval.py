"""Ask a person whether a long training starts, and whether to promote the new version."""

import json
from datetime import timedelta
from hashlib import sha256
from typing import Any

from airflow.providers.standard.operators.hitl import ApprovalOperator, HITLOperator
from airflow.sdk import Context, Param
from airflow.sdk.crypto import get_fernet
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, TaskAwaitingInput
from airflow.sdk.execution_time.hitl import HITLUser

from dags._form import Form, given_options
from dags._notify_command import tellers
from dags._results import Reading, result_of
from dags._step import FAILURE, Skipping, settings_of
from tasks.settings import ApprovalSettings

COMMENT = "comment"
ANSWER = "answer"
ANSWER_TIME = timedelta(days=7)
TRAIN, USE_AUTO, SKIP = "Train", "Use the preset auto", "Skip"


class ApproveOperator(Skipping, ApprovalOperator):
    """Ask for approval with texts of an earlier step; a later task handles the answer.

    The task is skipped if the report says that no approval is needed. No answer within the report's `approval_hours` means no. If
    RETAKE_APPROVERS names users, only they may answer.

    Args:
        report: id of the task whose result is a `ReportResult`.
        register: id of the task whose result is a `RegisterResult`.
    """

    def __init__(self, *, report: str, register: str, **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's own arguments
        comment = Param(None, type=["null", "string"], maxLength=500, title="Comment", description="Kept with the decision")
        question = {
            "subject": f"Promote {_result(register, 'model_name')} version {_result(register, 'version')}?",
            "body": _result(report, "question"),
            "defaults": self.REJECT,
            "params": {COMMENT: comment},  # replaces the DAG's params, which every task inherits
        }
        super().__init__(**{"queue": "cpu", **kwargs, **question})
        self.report = report

    def why_needless(self, context: Context) -> str:
        """Say that nobody has to be asked, by the report."""
        report = result_of(self.report, context)
        return "" if report["awaits_approval"] else "nobody is asked: the promotion rules or the setting *Promotion* decide alone"

    def execute(self, context: Context) -> Any:  # noqa: ANN401 - as the parent has it
        """Ask for approval, and wait for the answer; skip if none is needed."""
        self.refuse_needless(context)
        report = result_of(self.report, context)
        self.response_timeout = timedelta(hours=report["approval_hours"])
        self.assigned_users = _approvers()
        self.notifiers = tellers(report.get("in_short", ""))
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, str]:
        """Return the answer, for `answers`: the parent would skip after a no, which `decide` records."""
        given = HITLOperator.execute_complete(self, context, event)
        by = given["responded_by_user"]
        answer = "approved" if given["chosen_options"] == [self.APPROVE] else "rejected" if by else "no answer"
        return {
            "answer": answer,
            "answered_by": by["name"] if by else "the time limit",
            "comment": given["params_input"].get(COMMENT) or "",
        }

    def answers(self) -> dict[str, str]:
        """Template the flags that pass the answer to a step."""
        given = f"(ti.xcom_pull(task_ids='{self.task_id}') or {{}})"
        return {
            "answer": f"{{{{ {given}.get('answer', 'not asked') }}}}",
            "answered_by": f"{{{{ {given}.get('answered_by', '') }}}}",
            "comment": f"{{{{ {given}.get('comment', '') }}}}",
        }


class AskOperator(Skipping, HITLOperator):
    """Ask before a training that the plan expects to take long; else succeed at once.

    Without an answer within `approval_hours`, and after any answer but *Train*, this task and those after it are skipped.

    Args:
        form: the DAG's options.
        plan: id of the task whose result is a `PlanResult`; in a mapped group, of the same index.
    """

    def __init__(self, *, form: Form, plan: str, **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's own arguments
        result = f"ti.xcom_pull(task_ids='{plan}', map_indexes=ti.map_index)"
        question = {
            "subject": "Start this training?",
            "body": f"{{{{ {result}['question'] }}}}",
            "options": [TRAIN, USE_AUTO, SKIP],
            "defaults": SKIP,
            "params": {},  # replaces the DAG's params, which every task inherits
        }
        super().__init__(**{"queue": "cpu", **kwargs, **question})
        self.form = form
        self.plan = plan

    def execute(self, context: Context) -> Any:  # noqa: ANN401 - as the parent has it
        """Ask, and wait for the answer, if the plan has a question."""
        plan = result_of(self.plan, context, map_indexes=context["ti"].map_index)
        if not plan["question"]:
            self.skip_needless(None, context)
            return None
        if given_options(context, self.form)["preset"] == "auto":
            self.options = [TRAIN, SKIP]
        self.response_timeout = timedelta(hours=plan["gate"]["approval_hours"])
        self.notifiers = tellers(plan["question"])
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> None:
        """Go on after *Train*; else keep the answer for `UseAuto`, and skip."""
        (answer,) = super().execute_complete(context, event)["chosen_options"]
        if answer != TRAIN:
            reason = "a person, or the time limit, let it not be trained" if answer == SKIP else "a run with the preset auto starts instead"
            context["ti"].xcom_push(ANSWER, answer)
            context["ti"].xcom_push(FAILURE, {"step": "ask", "map_index": context["ti"].map_index, "reason": reason})
            raise AirflowSkipException(reason)
        self.skip_needless(None, context)


class ConfirmOperator(Reading, HITLOperator):
    """Ask whether to go on.

    The result has who answered `yes`, encrypted with Airflow's key, because others may write XComs, too. After any other answer, and without an
    answer in time, the tasks behind are skipped. If RETAKE_APPROVERS names users, only they may answer.

    `yes` is the answer that goes on, and `body` a templated text below the question. Others may write the XCom behind that text, so a step that
    acts on the answer is told its hash as well, and has to compare it. Such a question is asked `once`: in a later try, as after a clear,
    Airflow would show the text of the first.
    """

    def __init__(self, *, subject: str, body: str, yes: str, no: str, once: bool = False, **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's own arguments
        question = {"subject": subject, "body": body, "options": [yes, no], "defaults": no, "params": {}}
        tries = {"retries": 0} if once else {}
        super().__init__(**{"queue": "cpu", "response_timeout": ANSWER_TIME, **tries, **kwargs, **question})
        self.yes = yes
        self.once = once

    def execute(self, context: Context) -> Any:  # noqa: ANN401 - as the parent has it
        """Ask, and wait for the answer.

        Raises:
            AirflowFailException: it was asked before in this run, and may be asked only once.
        """
        if self.once and context["ti"].try_number > 1:
            raise AirflowFailException(
                f"{self.task_id}: Airflow would show the text of the first try again; start a new run of {self.dag_id}, and answer there"
            )
        self.assigned_users, self.notifiers = _approvers(), tellers(self.body or "")
        try:
            return super().execute(context)
        except TaskAwaitingInput as waiting:
            # The XCom behind the body may be another one when the answer comes.
            waiting.kwargs = {"shown": sha256((self.body or "").encode()).hexdigest()}
            raise

    def answers(self) -> dict[str, str]:
        """Template the flags that tell a step who said yes, and to which text.

        They are empty, which the step refuses, if the task was marked by hand: None would be a name.
        """
        opened = f"dag.get_task('{self.task_id}').opened(ti, dag_run)"
        return {name: f"{{{{ {opened}[{index}] }}}}" for index, name in enumerate(("confirm", "asked"))}

    def opened(self, ti: Any, dag_run: Any) -> tuple[str, str]:  # noqa: ANN401 - as templates have them
        """Return who approved this run's form, and the hash of the text; empty if nobody."""
        from cryptography.fernet import InvalidToken

        try:
            asked, name, shown = json.loads(get_fernet().decrypt(ti.xcom_pull(task_ids=self.task_id)))
        except (InvalidToken, TypeError, ValueError):
            return "", ""
        return (str(name), str(shown)) if asked == self._asked(dag_run) else ("", "")

    def _asked(self, dag_run: Any) -> list[object]:  # noqa: ANN401 - see above
        return [self.dag_id, dag_run.run_id, self.task_id, dag_run.conf]

    def execute_complete(self, context: Context, event: dict[str, Any], shown: str = "") -> str:
        """Encrypt who said yes, for `opened`; skip if nobody did."""
        given = super().execute_complete(context, event)
        by = given["responded_by_user"]
        if given["chosen_options"] != [self.yes] or not by:
            raise AirflowSkipException(f"{by['name'] if by else 'the time limit'} did not answer {self.yes}")
        return get_fernet().encrypt(json.dumps([self._asked(context["dag_run"]), by["name"], shown]).encode()).decode()


def _approvers() -> list[HITLUser]:
    return [HITLUser(id=user, name=user) for user in settings_of(ApprovalSettings).approvers]


def _result(task_id: str, name: str) -> str:
    return f"{{{{ ti.xcom_pull(task_ids='{task_id}')['{name}'] }}}}"
