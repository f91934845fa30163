"""The tasks of one network of a comparison."""

from datetime import timedelta
from typing import Any

from dags._params import Form
from dags._runner import StepOperator
from tasks.options import EvaluateOptions, RegisterOptions, TrainOptions

GROUP = "network"
STEPS = ("weights", "plan", "train", "evaluate")
FAILURES = f"{{{{ ti.xcom_pull(task_ids={[f'{GROUP}.{step}' for step in STEPS]}, key='failure') | select | list | tojson }}}}"
"""A template: of every task of the group that failed, what it said."""


def network(mapped: dict[str, str], form: Form) -> None:
    """Weights, plan, training and test of one configuration, by the steps that retrain takes.

    Args:
        mapped: one element of `configure`'s list, as Airflow's stand-in for it.
        form: the DAG's options.
    """
    plan_uri = f"{_planned('decision_uri')}plan/"
    common: dict[str, Any] = {
        "form": form,
        "mapped": mapped,
        "overlay": "{{ task.mapped.options }}",
        "map_index_template": "{{ task.mapped.name }}",
    }
    weights = StepOperator(
        task_id="weights",
        step="weights",
        image="trainer",
        options=(TrainOptions,),
        out="{{ task.mapped.out }}weights/",
        # Where no network sees flow, `flow` is skipped; where it failed, the networks that see none go on, and the others try it themselves.
        trigger_rule="all_done",
        execution_timeout=timedelta(hours=2),
        **common,
    )
    plan = StepOperator(
        task_id="plan",
        step="enter",
        options=(TrainOptions, EvaluateOptions, RegisterOptions),
        inputs={
            "dataset": "{{ task.mapped.dataset }}",
            "weights_result": "{{ task.mapped.out }}weights/",
            "claims": "{{ task.mapped.claims }}",
            "name": "{{ task.mapped.name }}",
        },
        out="{{ task.mapped.out }}plan/",
        execution_timeout=timedelta(minutes=30),
        **common,
    )
    train = StepOperator(
        task_id="train",
        step="train",
        image="trainer",
        gpu=True,
        inputs={"plan": plan_uri},
        out=f"{_planned('run_uri')}train/",
        pool="gpu",
        execution_timeout=timedelta(days=3),
        **common,
    )
    evaluate = StepOperator(
        task_id="evaluate",
        step="evaluate",
        image="trainer",
        gpu=True,
        inputs={"plan": plan_uri, "model": "fine-tuned"},
        out=f"{_planned('decision_uri')}evaluate/fine-tuned/",
        pool="gpu",
        execution_timeout=timedelta(hours=12),
        **common,
    )
    weights >> plan >> train >> evaluate


def _planned(field: str) -> str:
    """A template: this field of the plan of the same configuration."""
    return f"{{{{ ti.xcom_pull(task_ids='{GROUP}.plan', map_indexes=ti.map_index)['{field}'] }}}}"
