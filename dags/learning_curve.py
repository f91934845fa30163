"""# Learning curve

Says whether more labels would help: trains heads on shares of the training clips of one training, extrapolates its accuracy to more clips, and writes
the training's report anew with the answer. `retrain` starts it at its end, unless *Learning curve* is off in its form, and waits for nothing here.
`rescore` then scores earlier versions on the clips of this decision, for the history on the page *Retake*.
To start it by hand, name the plan of a decision. Under *Details* of `report_with_curve`, the button *Report* opens the page.

**Owner**: the operator of this Retake.

**When it fails**
- *Pink, skipped*: there is nothing to draw a curve from; its log and the report say why. `rescore`: no earlier version lacks a score.
- *Orange, to be retried*: the store or MLflow did not answer, or the machine stopped. Nothing to do; it retries.
- *Red, in `learning_curve`*: see the last lines of its log, mend the cause, and clear the task with its downstream tasks. The report stays as it is until then.
- *Grey, never starting*: it waits for a slot of the pool `gpu`, one per GPU, after all that trains, tests and predicts. With `RETAKE_GPU=off`, as
  `make run` sets it without a GPU, it waits for none, and its process yields the cores to all others.

Safe to rerun at any time, from the start or from any task: finished work is not repeated. Nothing is lost if its run is ended.
"""

from typing import Any

from airflow.sdk import DAG

from dags._form import Form
from dags._tasks import dag_arguments, step_task
from tasks.options import CurveOptions
from tasks.pipeline.learning_curve.contract import LEARNING_CURVE, RESCORE
from tasks.pipeline.retrain.contract import REPORT
from tasks.settings import RunnerSettings

FORM = Form(options=(CurveOptions,), first=("plan", "store"))
PLAN = "{{ params.plan }}"
UNHURRIED: dict[str, Any] = {**RunnerSettings().for_curves, "priority_weight": 0, "weight_rule": "absolute", "hours": 12}

with DAG(schedule=None, **dag_arguments(__file__, __doc__, FORM, "model")) as dag:
    curve = step_task(LEARNING_CURVE, FORM, plan=PLAN, **UNHURRIED)
    report = step_task(
        REPORT,
        FORM,
        task_id="report_with_curve",
        plan=PLAN,
        trigger_rule="none_failed",  # the report also says why there is no curve
        hours=1,
    )
    rescore = step_task(RESCORE, FORM, plan=PLAN, trigger_rule="all_done", **UNHURRIED)
    curve >> [report, rescore]
