"""Questions to people, and the effect of each answer."""

from contextlib import nullcontext
from copy import copy
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import SimpleNamespace
from uuid import UUID

import jinja2
import pytest
from airflow.api_fastapi.execution_api.routes import hitl as route
from airflow.providers.standard.operators import hitl
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException, DagRunTriggerException, TaskAwaitingInput
from cryptography.fernet import Fernet

from dags import _approval, _notify_command, compare_networks, forget, retrain
from dags._notify_command import TellOfQuestion
from dags._step import command_flags
from tasks.errors import BadConfiguration
from tasks.pipeline.commands import parse
from tasks.store.records.status import Notice
from tests.dags.conftest import defaults, in_run

ADA = {"id": "1", "name": "ada"}
TI = UUID(int=7)


@pytest.fixture
def approve():
    return retrain.dag.get_task("publish.approve")


@pytest.fixture
def asked(monkeypatch):
    """Airflow's record of the question that is asked."""
    question = {}
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **of: question.update(of))
    return question


@pytest.fixture
def sent(monkeypatch):
    flags = []
    monkeypatch.setenv("RETAKE_NOTIFY", "json://host")
    monkeypatch.setattr(_notify_command, "notify", flags.append)
    return flags


def instance_of(pull=None, **known):
    """A task's instance that pulls XComs so."""
    about = {"id": TI, "dag_id": "d", "run_id": "r", "task_id": "ask", "map_index": 2, "try_number": 1}
    return SimpleNamespace(xcom_pull=pull, xcom_push=lambda *_, **__: None, **about | known)


def context(task, try_number=1, **report):
    about = {"dag_id": task.dag_id, "task_id": task.task_id, "map_index": -1, "try_number": try_number}
    instance = instance_of(lambda task_ids: report, **about)
    return {"ti": instance, "task_instance": instance, "task": task}


def answered(chosen, user=ADA, **params):
    known = {"responded_at": datetime.now(UTC), "responded_by_user": user, "timedout": user is None}
    return {"chosen_options": [chosen], "params_input": params, **known}


def test_nobody_is_asked_where_there_is_no_question(approve):
    with pytest.raises(AirflowSkipException, match="nobody is asked"):
        approve.execute(context(approve, awaits_approval=False, approval_hours=5))


@pytest.mark.parametrize(("approvers", "assigned"), [('{"ada": "json://secret", "bob": ""}', ["ada", "bob"]), ("", [])])
def test_a_question_waits_as_long_as_the_run_was_told_with_its_figures_and_only_approvers_answer_if_some_are_named(
    approve, asked, sent, approvers, assigned, monkeypatch
):
    monkeypatch.setenv("RETAKE_APPROVERS", approvers)
    with pytest.raises(TaskAwaitingInput) as waiting:
        approve.execute(context(approve, awaits_approval=True, approval_hours=5, in_short="40 % of the actions"))
    assert waiting.value.timeout == timedelta(hours=5)
    assert (asked["options"], asked["defaults"], list(asked["params"])) == (["Approve", "Reject"], ["Reject"], ["comment"])
    assert asked["assigned_users"] == [{"id": name, "name": name} for name in assigned]
    notice = Notice.model_validate_json(sent[0].removeprefix("--notice="))
    assert (notice.text, notice.for_approvers) == ("40 % of the actions", bool(assigned))
    assert notice.url == "http://airflow.test:8080/dags/retrain/runs/r/tasks/publish.approve/required_actions?map_index=-1"
    assert "secret" not in sent[0] + str(asked)


def told(answer):
    """The flags that tell `decide` of an answer."""
    decide, instance = retrain.dag.get_task("publish.decide"), instance_of(lambda task_ids: answer)
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
    assert told(approve.execute_complete({}, answered(chosen, user, comment=comment))) == wanted
    assert told(None) == ("not asked", "", "")


@pytest.fixture(params=[(retrain, "prepare."), (compare_networks, "network.")], ids=["retrain", "compare_networks"])
def asking(request):
    """A DAG, and its task that asks."""
    dag, group = request.param
    return dag, copy(dag.dag.get_task(f"{group}ask"))


@pytest.fixture
def planned(asking):
    """Makes the context of the task after a plan."""

    def make(question, preset="none"):
        dag, ask = asking
        plan = {"question": question, "gate": {"approval_hours": 5}}
        results = {(ask.plan, 2): plan, (ask.plan, None): plan}
        instance = instance_of(lambda task_ids, map_indexes=None: results[task_ids, map_indexes])
        return {"task_instance": instance, **in_run(dag.FORM, instance, preset=preset)}

    return make


@pytest.mark.parametrize(("preset", "options"), [("light", ["Train", "Use the preset auto", "Skip"]), ("auto", ["Train", "Skip"])])
def test_a_long_training_waits_for_an_answer_and_a_short_one_starts_unasked(preset, options, asking, planned, asked, sent, monkeypatch):
    assert asking[1].execute(planned("")) is None
    monkeypatch.setattr(TellOfQuestion, "__call__", lambda *_: None)
    with pytest.raises(TaskAwaitingInput) as waiting:
        asking[1].execute(planned("7 h", preset))
    assert [teller.text for teller in asking[1].notifiers] == ["7 h"]
    assert waiting.value.timeout == timedelta(hours=5)
    assert (asked["options"], asked["defaults"]) == (options, ["Skip"])


@pytest.mark.parametrize("answer", ["Train", "Use the preset auto", "Skip"])
def test_only_the_answer_train_goes_on_and_only_auto_starts_another_run(answer, asking):
    (dag, ask), kept = asking, {}
    instance = instance_of(lambda task_ids, key="": [kept.get(key)] if key else {"inputs": []})
    instance.xcom_push = lambda key, value: kept.update({key: value})
    with nullcontext() if answer == "Train" else pytest.raises(AirflowSkipException):
        ask.execute_complete({"ti": instance}, answered(answer))
    needless = ["prepare.flows", "prepare.sound"] if answer == "Train" and dag is retrain else []
    assert sorted(kept.get("skipmixin_key", {}).get("skipped", [])) == needless
    assert kept.get("failure", {}).get("map_index") == (None if answer == "Train" else 2), "the table of a comparison says why"
    use_auto = next(task for task in dag.dag.tasks if task.task_id.endswith("use_auto"))
    running = {"dag_run": SimpleNamespace(run_id="r"), **in_run(dag.FORM, instance, epochs=60, crops=1, preset="original")}
    with pytest.raises(DagRunTriggerException if answer == "Use the preset auto" else AirflowSkipException) as triggered:
        use_auto.execute(running)
    if answer == "Use the preset auto":
        conf = triggered.value.conf
        assert triggered.value.skip_when_already_exists, "the same answer of the same run starts one run"
        assert (triggered.value.trigger_dag_id, conf["preset"], conf["crops"], "epochs" in conf) == (dag.dag.dag_id, "auto", 1, False)


@pytest.fixture
def key(monkeypatch):
    fernet = Fernet(Fernet.generate_key())
    monkeypatch.setattr(_approval, "get_fernet", lambda: fernet)


RUN = SimpleNamespace(run_id="r", conf={"video": "a.mp4"})


SHOWN = sha256(b"1 video").hexdigest()


def confirmed(answer, run=RUN):
    """The name with which the step deletes, and the question it compares, after this XCom of `ask`."""
    task, pulled = copy(forget.dag.get_task("forget")), SimpleNamespace(xcom_pull=lambda task_ids: {"ask": answer}[task_ids])
    task.inputs = {name: jinja2.Template(text).render(dag=forget.dag, ti=pulled, dag_run=run) for name, text in task.inputs.items()}
    _, arguments = parse([task.step, *command_flags(task, defaults(task.form))])
    return arguments.confirm, arguments.asked


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("task_id", ["ask", "ask_to_train"])
@pytest.mark.parametrize(("is_yes", "user", "goes_on"), [(True, ADA, True), (False, ADA, False), (False, None, False)])
def test_only_a_person_who_says_yes_lets_a_deletion_go_on_and_the_step_is_told_who(task_id, is_yes, user, goes_on):
    ask = forget.dag.get_task(task_id)
    yes, no = ask.options
    with nullcontext() if goes_on else pytest.raises(AirflowSkipException, match="did not answer"):
        answer = ask.execute_complete({"dag_run": RUN}, answered(yes if is_yes else no, user), SHOWN)
        assert ask.opened(SimpleNamespace(xcom_pull=lambda task_ids: answer), RUN) == ("ada", SHOWN)
        if task_id == "ask":
            assert confirmed(answer) == ("ada", SHOWN)
    assert (ask.defaults, ask.yes) == ([no], yes)
    assert not forget.dag.get_task("list").inputs


@pytest.mark.parametrize("task_id", ["ask", "ask_to_train"])
def test_a_question_about_a_deletion_is_told_at_once_and_only_approvers_answer(task_id, asked, sent, monkeypatch):
    ask = copy(forget.dag.get_task(task_id))
    monkeypatch.setenv("RETAKE_APPROVERS", '{"ada": ""}')
    ask.body = "1 video"
    with pytest.raises(TaskAwaitingInput) as waiting:
        ask.execute(context(ask))
    assert waiting.value.kwargs == {"shown": SHOWN}, "the text may be another one when the answer comes"
    notice = Notice.model_validate_json(sent[0].removeprefix("--notice="))
    assert (notice.title, notice.text) == (ask.subject, "1 video")
    assert asked["assigned_users"] == [{"id": "ada", "name": "ada"}]


def test_after_a_clear_a_question_about_a_deletion_is_not_asked_since_airflow_would_show_its_first_text(monkeypatch):
    kept = []
    session = SimpleNamespace(scalar=lambda _: kept[0] if kept else None, add=kept.append)
    monkeypatch.setattr(hitl, "upsert_hitl_detail", lambda **of: route.upsert_hitl_detail(TI, route.HITLDetailRequest(**of), session))
    ask = copy(forget.dag.get_task("ask"))
    ask.body = "1 video"
    with pytest.raises(TaskAwaitingInput) as first:
        ask.execute(context(ask))
    assert (kept[0].body, first.value.kwargs) == ("1 video", {"shown": SHOWN})
    ask.body = "9 videos"
    with pytest.raises(AirflowFailException, match=r"^ask: .* start a new run of forget, and answer"):
        ask.execute(context(ask, try_number=2))
    assert [detail.body for detail in kept] == ["1 video"]
    assert ask.retries == 0, "a retry would be refused, and hide why the first try failed"


@pytest.mark.parametrize(
    ("given", "named"),
    [({"video": "a.mp4"}, "the video a.mp4"), ({"source": "day"}, "all videos of the source day")],
    ids=["video", "source"],
)
def test_the_question_about_a_deletion_names_it_as_it_was_asked_for(given, named):
    text = forget.dag.get_task("ask").subject
    assert jinja2.Template(text).render(params=defaults(forget.FORM) | given) == f"Delete {named} for ever?"


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize("answer", [None, "ada"], ids=["marked by hand", "written by another"])
def test_the_step_that_deletes_refuses_an_answer_that_nobody_gave(answer):
    with pytest.raises(BadConfiguration, match="--confirm"):
        confirmed(answer)


@pytest.mark.usefixtures("key")
@pytest.mark.parametrize(
    ("task_id", "run"),
    [
        ("ask_to_train", RUN),
        ("ask", SimpleNamespace(run_id="s", conf=RUN.conf)),
        ("ask", SimpleNamespace(run_id="r", conf={"video": "b.mp4"})),
    ],
    ids=["question", "run", "form"],
)
def test_the_step_that_deletes_refuses_the_answer_to_another_question(task_id, run):
    ask = forget.dag.get_task(task_id)
    answer = ask.execute_complete({"dag_run": run}, answered(ask.yes), SHOWN)
    with pytest.raises(BadConfiguration, match="--confirm"):
        confirmed(answer)
