"""# Predict videos

Lets two networks say what happens in videos that were not trained on: the model in use and, beside it, the network that its training started from.
It is started by hand, with a form that names folders, files or web addresses; without any it takes every ingested video that was not trained on.
Under *Details* of `report`, the button *Report* leads to the page: timelines, where the two agree and differ, and which clips are worth a label.
Tables, tracks for players and the list of clips to label lie beside it.

**Owner**: whoever runs this Retake.

**When it fails**
- *Pink, skipped*: the same videos were predicted by the same networks before; the log of `plan` links to the page. Or there is no video.
  `flows` and `flow` alone: neither network looks at optical flow, or it is there already.
- *Orange, to be retried*: the store or MLflow did not answer. Nothing to do; it tries again.
- *Red, in `plan`*: there is no such model or version, or none of the videos can be used; the log names those that exist, and each video's reason.
- *Grey, never starting*: `known` and `predict` wait for a slot of the pool `gpu`, one a GPU. Is there such a pool?
- *Red, one of `cut` or `flow`*: `predict` tries the same itself, and fails where it cannot. Clear both.
- *Red, one of `predict`*: it ran out of memory or of its 12 hours. The page is made of the other batches and names the videos of this one.
  Clear the task with those after it: it goes on with the video that it ended in, and the page is made again.
- A video or clip that cannot be used, and a video that was trained on, does not fail a run: the page names it with the reason.

**What takes long**: a network that sees optical flow has that of every clip computed in `flow`, on the cores of workers that need no GPU.
A clip of 8 s has 239 fields: by DIS three seconds of a core; by TV-L1, about a field a second, four minutes of one, so that 16 cores take some
two hours for an hour of video. It is kept beside the clips, and a second prediction has it at once.
Flow that is missing of up to 300 training clips is computed in `known`, and that of a network whose training is not known in `predict`.

It may be run again at any time, from the start or from any task: what is done already is not done twice.
"""

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG

from dags._flow import flow_tasks
from dags._params import Form
from dags._runner import TASK_DEFAULTS
from dags._tasks import mapped_step_task, step_task
from tasks.contracts import predict_videos
from tasks.options import EvaluateOptions, PredictOptions
from tasks.store.layout import Layout
from tasks.store.predictions import PredictedBatch, Prediction

FORM = Form(options=(PredictOptions, EvaluateOptions))
PREDICTION = Prediction("{{ ti.xcom_pull(task_ids='plan', key='result')['prediction_uri'] }}")
PLAN, KNOWN = PREDICTION.plan.folder_uri, PREDICTION.known.folder_uri

with DAG(
    dag_id=Path(__file__).stem,
    doc_md=__doc__,
    schedule=None,
    max_active_runs=1,
    params=FORM.params(),
    default_args=TASK_DEFAULTS,
    tags=["retake", "model"],
) as dag:
    plan = step_task(
        predict_videos.PLAN,
        FORM,
        out=Layout("{store}").prediction_plan("{key}").folder_uri,
        returns="batches",
        execution_timeout=timedelta(hours=6),
    )
    cut = mapped_step_task(
        predict_videos.CUT,
        FORM,
        over=plan.output,
        plan=PLAN,
        batch="{{ task.mapped.uri }}",
        out=PredictedBatch("{{ task.mapped.out }}").cut.folder_uri,
        map_index_template="{{ task.mapped.name | truncate(100) }}",
        max_active_tis_per_dagrun=2,
        execution_timeout=timedelta(hours=12),
    )
    # A batch that could not be cut costs no other its prediction.
    flows, flow = flow_tasks(FORM, prediction=PLAN, out=PREDICTION.flows.folder_uri, trigger_rule="all_done_min_one_success")
    known = step_task(predict_videos.KNOWN, FORM, plan=PLAN, out=KNOWN, execution_timeout=timedelta(hours=3))
    predict = mapped_step_task(
        predict_videos.PREDICT_BATCH,
        FORM,
        over=plan.output,
        plan=PLAN,
        known=KNOWN,
        batch="{{ task.mapped.uri }}",
        out="{{ task.mapped.out }}",
        map_index_template="{{ task.mapped.name | truncate(100) }}",
        trigger_rule="all_done",  # where no network sees flow, `flow` is skipped; what is not cut or computed by now is tried here
        execution_timeout=timedelta(hours=12),
    )
    report = step_task(
        predict_videos.REPORT,
        FORM,
        trigger_rule="all_done_min_one_success",  # videos of a batch that failed stand on the page as left out
        plan=PLAN,
        known=KNOWN,
        out=PREDICTION.report.folder_uri,
        execution_timeout=timedelta(hours=2),
    )
    plan >> known
    [plan, cut] >> flows
    [known, flow] >> predict >> report
