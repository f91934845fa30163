"""What is asked of a person, and what becomes of each answer."""

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import jinja2
import pytest
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import AirflowSkipException, TaskAwaitingInput

from dags import retrain

ADA = {"id": "1", "name": "ada"}


@pytest.fixture
def approve():
    return retrain.dag.get_task("publish.approve")


def context(**report):
    instance = SimpleNamespace(id="ti", xcom_pull=lambda task_ids: report)
    return {"ti": instance, "task_instance": instance}


def test_nobody_is_asked_where_the_report_says_so(approve):
    with pytest.raises(AirflowSkipException, match="nobody is asked"):
        approve.execute(context(awaits_approval=False, approval_hours=5))


def test_the_question_waits_as_long_as_the_run_was_told(approve, monkeypatch):
    asked = {}
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **question: asked.update(question))
    with pytest.raises(TaskAwaitingInput) as waiting:
        approve.execute(context(awaits_approval=True, approval_hours=5))
    assert waiting.value.timeout == timedelta(hours=5)
    assert (asked["options"], asked["defaults"], list(asked["params"])) == (["Approve", "Reject"], ["Reject"], ["comment"])


def told(answer):
    """What the step that decides is told of an answer."""
    decide = retrain.dag.get_task("publish.decide")
    instance = SimpleNamespace(xcom_pull=lambda task_ids: answer)
    return tuple(jinja2.Template(decide.inputs[name]).render(ti=instance) for name in ("answer", "answered_by", "comment"))


@pytest.mark.parametrize(
    ("chosen", "user", "comment", "wanted"),
    [
        ("Approve", ADA, "seen", ("approved", "ada", "seen")),
        ("Reject", ADA, None, ("rejected", "ada", "")),
        ("Reject", None, None, ("no answer", "the time limit", "")),
    ],
)
def test_every_answer_reaches_the_step_that_decides_and_skips_nothing(approve, chosen, user, comment, wanted):
    event = {
        "chosen_options": [chosen],
        "params_input": {"comment": comment},
        "responded_at": datetime.now(UTC),
        "responded_by_user": user,
        "timedout": user is None,
    }
    assert told(approve.execute_complete({}, event)) == wanted


def test_without_a_question_the_step_is_told_that_nobody_was_asked():
    assert told(None) == ("not asked", "", "")
