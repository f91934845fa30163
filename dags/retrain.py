"""# Retrain

Fine-tunes the network on the latest dataset, tests it against the baseline and the champion, and registers it in MLflow.
It becomes `champion` only if it passes every promotion rule, on clips that it was not trained on; without a champion it becomes a provisional one, which has not passed them, if it is better than guessing. The DAG runs every week and on every new
dataset, one run at a time, and by hand with a form. Under *Details* of `decide` and of `report`, the button *Report* opens the
evidence on one page. `learning_curve`, a DAG of its own, then adds whether more labels would help. The button *MLflow run*, there and on other steps, opens the run in MLflow.
The page `/retake/trigger/?dag=retrain` of this Airflow is the same form, and says how long the store's last training was expected to take.

**When it waits for you**: if the training is expected to take longer than *Longest training*, the task `ask` asks under *Required actions* whether to
train, to train by the recipe `auto` instead, or to skip. Without an answer in time nothing is trained. If *Promotion* is `approve`, the task `approve`
asks there whether to promote the new version. Without an answer in time the champion stays.

**Owner**: the operator of this Retake.

**When it fails**
- *Pink, skipped*: the log of the task, or of the one before it, says why. Which is skipped, and the usual reason:
  - `weights` or `plan`: there is no dataset yet, or it was trained with these options before; the log of `plan` links to that run, and
    *Train again* in the form overrides this.
  - `ask` and all that follows: a long training was not wanted, or nobody answered.
  - `use_auto`: nobody asked for it, as in almost every run.
  - `flows` and `flow`: the network needs no optical flow, or it is there already.
  - `sound`: the network does not hear, or its sound is there already.
  - `register` and what follows: labels were altered (*Label noise*), so nothing is registered.
  - `approve`: no approval is needed.
  - `learning_curve`: it is switched off, or there is nothing to draw it from; the report says why.
  - `export` and `report_with_package`: no package was asked for, or the champion stays.
- *Orange, to be retried*: the store or MLflow did not answer, or the machine stopped. Training resumes after its last epoch.
- *Red, in `prepare`*: weights are missing or wrong. The log says which file to put where.
- *Red, in `train` or `evaluate`*: see the last lines of the log. Out of memory: lower the batch size or the segments. No flow or sound: see the log of `flow` or `sound`.
- *Red, in `export`*: the promotion stands. The log says why the network cannot be exported, or which part of the package's check failed.
- *Grey, never starting*: `train` and `evaluate` wait for a slot of the pool `gpu`, one per GPU. Does the pool exist?

`python -m tasks rollback --to VERSION --reason "..."` makes an earlier version champion again.

Safe to rerun at any time, from the start or from any task: finished work is not repeated.
"""

from datetime import timedelta

from airflow.sdk import DAG, AssetOrTimeSchedule, CronTriggerTimetable, TaskGroup

from dags._approval import ApproveOperator, AskOperator
from dags._form import Form
from dags._tasks import DATASET, MODEL, dag_arguments, flow_tasks, sound_task, step_task
from dags._triggers import DrawCurve, UseAuto
from tasks.options import dag_options
from tasks.pipeline.retrain import contract as retrain
from tasks.store.layout import Layout
from tasks.store.run_layout import Decision

MORE = (
    "force", "decide_again", "max_hours", "family", "modality", "head", "trainable", "weights", "checkpoint", "fuse", "crops", "engine",
    "learning_curve", "model_name", "approval_hours", "min_gate_clips", "export",
)  # fmt: skip
"""Shown in collapsed sections. Any other option is hidden."""
FORM = Form(
    options=dag_options.RETRAIN,
    first=("preset", "dataset", "backbone", "epochs", "batch_size", "learning_rate", "promotion", "store"),
    more=MORE,
)
# Airflow fills in double braces when a task runs, from results; the task then fills in single ones, from the run's options.
PLAN = Decision("{{ ti.xcom_pull(task_ids='prepare.plan')['decision_uri'] }}").plan.folder_uri
WEIGHTS = Layout("{store}").weights("{key}").folder_uri

with DAG(
    schedule=AssetOrTimeSchedule(
        # Mondays at 02:00. `timedelta(0)` starts no overdue run; `False` would start one that was due in the last hours, when the DAG is unpaused.
        timetable=CronTriggerTimetable("0 2 * * 1", timezone="UTC", run_immediately=timedelta(0)),
        assets=[DATASET],
    ),
    **dag_arguments(__file__, __doc__, FORM, "model"),
) as dag:
    with TaskGroup("prepare", tooltip="Initial weights, the plan of training and tests, and optical flow or sound if the network needs it"):
        weights = step_task(retrain.WEIGHTS, FORM, passes=("preset", "dataset", "num_seeds"), out=WEIGHTS, hours=2)
        plan = step_task(
            retrain.PLAN,
            FORM,
            # The tokens stand for `force` and `decide_again`: see `resolve`.
            passes=("preset", "dataset", "num_seeds", "max_hours", "force_token", "decide_token"),
            weights_result=WEIGHTS,
            hours=0.5,
        )
        ask = AskOperator(task_id="ask", form=FORM, plan="prepare.plan")
        # Runs only where `ask` was skipped: a person refused the training, or there is none.
        use_auto = UseAuto(task_id="use_auto", trigger_dag_id="retrain", form=FORM, question="prepare.ask", trigger_rule="all_skipped")
        flows, flow = flow_tasks(FORM, plan=PLAN, feeds=("prepare.plan", "flow"))  # `flow` comes after `flows`, which lists its batches
        sound = sound_task(FORM, plan=PLAN, feeds=("prepare.plan", "sound"))
        weights >> plan >> ask >> [flows, sound, use_auto]
    train = step_task(
        retrain.TRAIN,
        FORM,
        plan=PLAN,
        trigger_rule="none_failed_min_one_success",  # `flow` and `sound` are skipped if not needed; `ask`, too, if nothing is to be trained
        hours=72,
    )
    evaluate = step_task(retrain.EVALUATE, FORM, plan=PLAN, hours=48)
    with TaskGroup("publish", tooltip="Comparison, report, MLflow's registry, and the promotion"):
        compare = step_task(retrain.COMPARE, FORM, plan=PLAN, hours=0.5)
        report = step_task(retrain.REPORT, FORM, passes=("learning_curve",), plan=PLAN, hours=1)
        register = step_task(retrain.REGISTER, FORM, plan=PLAN, hours=1)
        approve = ApproveOperator(task_id="approve", report="publish.report", register="publish.register")
        decide = step_task(
            retrain.DECIDE,
            FORM,
            plan=PLAN,
            **approve.answers(),
            outlets=[MODEL],
            trigger_rule="none_failed_min_one_success",  # `approve` is skipped if no approval is needed
            hours=0.5,
        )
        compare >> report >> register >> [approve, decide]
        approve >> decide
    [ask, flow, sound] >> train >> evaluate >> compare
    export = step_task(retrain.EXPORT, FORM, plan=PLAN, switch="export", hours=12)
    report_with_package = step_task(retrain.REPORT, FORM, task_id="report_with_package", passes=("learning_curve",), plan=PLAN, hours=1)
    decide >> export >> report_with_package
    # `register` is skipped where labels were altered. A curve does not wait for an approval.
    curve = DrawCurve(task_id="learning_curve", form=FORM, plan=PLAN, report="publish.report", trigger_rule="none_failed_min_one_success")
    [report, register] >> curve
