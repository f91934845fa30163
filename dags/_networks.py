"""The tasks of one network of a comparison."""

from datetime import timedelta
from typing import Any

from dags._params import Form
from dags._runner import StepOperator
from tasks.options import EvaluateOptions, RegisterOptions, TrainOptions
from tasks.store.comparisons import Configured
from tasks.store.runs import Decision, Run

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
    run, decision = Run(_planned("run_uri")), Decision(_planned("decision_uri"))
    configured = Configured("{{ task.mapped.out }}")
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
        out=configured.weights.folder_uri,
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
            "weights_result": configured.weights.folder_uri,
            "claims": "{{ task.mapped.claims }}",
            "name": "{{ task.mapped.name }}",
        },
        out=configured.plan.folder_uri,
        execution_timeout=timedelta(minutes=30),
        **common,
    )
    train = StepOperator(
        task_id="train",
        step="train",
        image="trainer",
        gpu=True,
        inputs={"plan": decision.plan.folder_uri},
        out=run.train.folder_uri,
        pool="gpu",
        execution_timeout=timedelta(days=3),
        **common,
    )
    evaluate = StepOperator(
        task_id="evaluate",
        step="evaluate",
        image="trainer",
        gpu=True,
        inputs={"plan": decision.plan.folder_uri, "model": "fine-tuned"},
        out=decision.evaluate("fine-tuned").folder_uri,
        pool="gpu",
        execution_timeout=timedelta(hours=12),
        **common,
    )
    weights >> plan >> train >> evaluate


def _planned(field: str) -> str:
    """A template: this field of the plan of the same configuration."""
    return f"{{{{ ti.xcom_pull(task_ids='{GROUP}.plan', map_indexes=ti.map_index)['{field}'] }}}}"
