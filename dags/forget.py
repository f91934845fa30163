"""# Forget

Deletes all that the store and MLflow have of a video, or of all videos of a source, for ever. Start it by hand, with a form. The task `ask` then
asks under *Required actions* whether to delete all that `list` has found, with its numbers and the models that saw it; the log of `list` has
each object. `python -m tasks forget VIDEO --reason "..."` lists the same at a shell, and with `--confirm NAME` deletes it.

Models that saw the video stay, and their versions are marked in the registry. `ask_to_train` asks whether to build the dataset without the video
and train on it at once; else the next ingest that brings something does. Whoever may start this DAG and answer its question may
delete; if `RETAKE_APPROVERS` names users, only they may answer.

**Owner**: the operator of this Retake.

**When it fails**
- *Pink, skipped*: nobody approved the deletion within 7 days, or nobody wants to train now.
- *Orange, to be retried*: the store or MLflow did not answer, or another step wrote of the video meanwhile. The deletion goes on where it stopped.
- *Red, in `list`*: there is no such video, another one is being forgotten, or an annotation file labels other videos, too, and cannot be
  written without this one. The log says what to do.
- *Red, in `ask`*: it was cleared, and Airflow would show its first text again; start a new run, and answer there.
- *Red, in `forget`*: the reason is missing; start it again with one. Or `ask` was marked by hand, so nobody approved the deletion. Or the question
  was not that of the list in the store, or the source has other videos since; start a new run, and answer there.

Safe to rerun at any time: it goes on where it stopped. No other DAG should run meanwhile, since it may write of the video until it ends.
"""

from airflow.sdk import DAG

from dags._approval import ConfirmOperator
from dags._form import Form
from dags._tasks import dag_arguments, step_task
from dags._triggers import TriggerOnce
from tasks.options import ForgetOptions
from tasks.pipeline.forget.contract import FORGET

FORM = Form(options=(ForgetOptions,), first=("video", "source", "reason", "store"))

with DAG(schedule=None, **dag_arguments(__file__, __doc__, FORM, "data")) as dag:
    listed = step_task(FORGET, FORM, task_id="list", hours=2)
    ask = ConfirmOperator(
        task_id="ask",
        subject="Delete {{ 'the video ' ~ params['video'] if params['video'] else 'all videos of the source ' ~ params['source'] }} for ever?",
        body="{{ ti.xcom_pull(task_ids='list')['question'] }}",
        yes="Delete",
        no="Keep",
        once=True,
    )
    forget = step_task(FORGET, FORM, hours=12, **ask.answers())
    ask_to_train = ConfirmOperator(
        task_id="ask_to_train",
        subject="Build the dataset without it, and train now?",
        body="Models that saw it: {{ ti.xcom_pull(task_ids='forget')['models'] | join(', ') or 'none' }}. Else the next ingest that brings something does.",
        yes="Train now",
        no="Later",
    )
    build = TriggerOnce(
        task_id="build", trigger_dag_id="build_dataset", trigger_run_id="forgotten__{{ run_id }}", conf={"store": "{{ params['store'] }}"}
    )
    listed >> ask >> forget >> ask_to_train >> build
