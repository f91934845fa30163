"""Add the tasks of a comparison's network, and those of a search's rounds."""

from typing import Any

from airflow.sdk import BaseOperator, TaskGroup

from dags._approval import AskOperator
from dags._form import Form
from dags._tasks import mapped_step_task, step_task
from tasks.options.search import MAX_ROUNDS
from tasks.pipeline.compare_networks import contract as compare_networks
from tasks.pipeline.retrain import contract as retrain
from tasks.pipeline.search import contract as search
from tasks.store.run_layout import Configured, Decision

SEARCH = "{{ ti.xcom_pull(task_ids='plan')['search_uri'] }}"
GROUP = "network"
STEPS = (retrain.WEIGHTS, compare_networks.PLAN_NETWORK, retrain.TRAIN, retrain.EVALUATE)
ASK = f"{GROUP}.ask"
FAILURES = (
    f"{{{{ ti.xcom_pull(task_ids={[*(f'{GROUP}.{step.task_id}' for step in STEPS), ASK]}, key='failure') | select | list | tojson }}}}"
)
"""Template of a JSON list: the failure of each failed task of the group, and what a person let not be trained."""

_PLANNED_DECISION = f"{{{{ ti.xcom_pull(task_ids='{GROUP}.plan', map_indexes=ti.map_index)['decision_uri'] }}}}"
"""Template of a field of the same configuration's plan."""


def network(mapped: dict[str, str], form: Form) -> None:
    """Add the tasks of one configuration, for which `mapped` is Airflow's placeholder."""
    configured = Configured("{{ task.mapped.out }}")
    planned = Decision(_PLANNED_DECISION).plan.folder_uri
    common: dict[str, Any] = {
        "form": form,
        "mapped": mapped,
        "overlay": "{{ task.mapped.options }}",
        "map_index_template": "{{ task.mapped.name }}",
    }
    weights = step_task(
        retrain.WEIGHTS,
        out=configured.weights.folder_uri,
        passes=("preset",),
        dataset="{{ task.mapped.dataset }}",
        num_seeds="1",
        # `flow` may be skipped or failed: networks without flow do not need it, and the others compute it themselves.
        trigger_rule="all_done",
        hours=2,
        **common,
    )
    plan = step_task(
        compare_networks.PLAN_NETWORK,
        passes=("max_hours", "split"),
        dataset="{{ task.mapped.dataset }}",
        weights_result=configured.weights.folder_uri,
        claims="{{ task.mapped.claims }}",
        name="{{ task.mapped.name }}",
        hours=0.5,
        **common,
    )
    ask = AskOperator(
        task_id="ask", form=form, plan=f"{GROUP}.plan", map_index_template="{{ ti.xcom_pull(task_ids='configure')[ti.map_index]['name'] }}"
    )
    train = step_task(retrain.TRAIN, plan=planned, hours=72, **common)
    evaluate = step_task(retrain.EVALUATE, plan=planned, hours=12, **common)
    weights >> plan >> ask >> train >> evaluate


def add_rounds(plan: BaseOperator, form: Form) -> list[BaseOperator]:
    """Add the rounds that a form can ask for; return the last task of each.

    The first follows the task `plan`. Airflow's graphs have no loops: rounds that a form does not ask for are skipped.
    """
    gathered: list[BaseOperator] = []
    for number in range(1, MAX_ROUNDS + 1):
        with TaskGroup(f"round_{number}", tooltip="Suggestions from all earlier rounds, their trainings, and the best so far"):
            gathered.append(_round(number, gathered[-1] if gathered else plan, form))
    return gathered


def _round(number: int, before: BaseOperator, form: Form) -> BaseOperator:
    suggest = step_task(search.SUGGEST, form, search=SEARCH, round=str(number), returns="batches", hours=0.5)
    trials = mapped_step_task(search.TRAIN_TRIALS, form, over=suggest, search=SEARCH, hours=72)
    failures = f"{{{{ ti.xcom_pull(task_ids=['round_{number}.{search.TRAIN_TRIALS.task_id}'], key='failure') | select | list | tojson }}}}"
    gather = step_task(
        search.GATHER,
        form,
        search=SEARCH,
        round=str(number),
        failures=failures,
        trigger_rule="all_done_min_one_success",  # a failed trial does not fail the search
        hours=0.5,
    )
    before >> suggest >> trials >> gather
    suggest >> gather
    return gather
