"""# Predict videos

Predicts the actions in videos that were not trained on, with two networks: the champion and the network that its training started from.
Start it by hand, with a form that names folders, files or web addresses; if it names none, all ingested videos that were not trained on are predicted.
Under *Details* of `report`, the button *Report* opens the page: timelines, agreements and differences of the two, and clips worth a label.
Tables, tracks for players and the list of clips to label are stored beside it. With `stride_seconds` they also say when each action happens.

**Owner**: the operator of this Retake.

**When it fails**
- *Pink, skipped*: these networks predicted these videos before, and the log of `plan` links to the page; or there is no video.
  Only `flows` and `flow`, or `sound`: neither network needs optical flow or hears, or it is there already.
- *Orange, to be retried*: the store or MLflow did not answer. Nothing to do; it retries.
- *Red, in `plan`*: the model or version does not exist, or no video is usable; the log lists the existing models, or the reason for each video.
- *Grey, never starting*: `known` and `predict` wait for a slot of the pool `gpu`, one per GPU, which trainings and tests take, too. *Details* of the
  task names the pool under *Dependencies Blocking Task From Getting Scheduled*; *Admin*, *Pools* leads to the tasks that run in it. Without a GPU
  (`RETAKE_GPU=off`, as `make run` sets it then) they have a pool of their own, `prediction`, and run beside a training. Does the pool exist?
- *Red, one of `cut` or `flow`*: `predict` tries the same work itself, and fails if it cannot do it. Clear both.
- *Red, one of `predict`*: out of memory, or past its 12 hours. The page shows the other batches and names the videos of this one.
  Clear the task with its downstream tasks: it resumes with the video that it ended in, and the page is written again.
- An unusable video or clip, or a video that was trained on, does not fail a run: the page names it with the reason.

**What takes long**: for a network that sees optical flow, `flow` computes the flow of every clip, on workers that need no GPU.
A clip of 8 s has 239 fields. DIS takes three seconds of one core; TV-L1, at about one field per second, takes four minutes, so that 16 cores
take about two hours for one hour of video. The flow is stored beside the clips and is not computed again for the next prediction.
If the flow of up to 300 training clips is missing, `known` computes it; if a network's training clips are not known, `predict` does.

Safe to rerun at any time, from the start or from any task: finished work is not repeated.
"""

from datetime import timedelta

from airflow.sdk import DAG

from dags._form import Form
from dags._tasks import dag_arguments, flow_tasks, mapped_step_task, sound_task, step_task
from tasks.options import EvaluateOptions, PredictOptions
from tasks.pipeline.predict_videos import contract as predict_videos
from tasks.settings import RunnerSettings
from tasks.store.run_layout import Prediction

FORM = Form(options=(PredictOptions, EvaluateOptions), first=("videos", "model", "against", "num_to_label", "store"))
POOL = RunnerSettings().prediction_pool
PLAN = Prediction("{{ ti.xcom_pull(task_ids='plan', key='result')['prediction_uri'] }}").plan.folder_uri

with DAG(schedule=None, **dag_arguments(__file__, __doc__, FORM, "model")) as dag:
    plan = step_task(predict_videos.PLAN, FORM, returns="batches", execution_timeout=timedelta(hours=6))
    cut = mapped_step_task(
        predict_videos.CUT,
        FORM,
        over=plan.output,
        plan=PLAN,
        batch="{{ task.mapped.uri }}",
        map_index_template="{{ task.mapped.name | truncate(100) }}",
        max_active_tis_per_dagrun=2,
        execution_timeout=timedelta(hours=12),
    )
    # If one batch fails to cut, the others are still predicted.
    flows, flow = flow_tasks(FORM, prediction=PLAN, trigger_rule="all_done_min_one_success")
    sound = sound_task(FORM, prediction=PLAN, trigger_rule="all_done_min_one_success")
    known = step_task(predict_videos.KNOWN, FORM, plan=PLAN, pool=POOL, execution_timeout=timedelta(hours=3))
    predict = mapped_step_task(
        predict_videos.PREDICT_BATCH,
        FORM,
        over=plan.output,
        plan=PLAN,
        pool=POOL,
        batch="{{ task.mapped.uri }}",
        map_index_template="{{ task.mapped.name | truncate(100) }}",
        trigger_rule="all_done",  # `flow` and `sound` are skipped if no network needs them; clips, flow and sound that are still missing are made here
        execution_timeout=timedelta(hours=12),
    )
    report = step_task(
        predict_videos.REPORT,
        FORM,
        trigger_rule="all_done_min_one_success",  # the page lists the videos of a failed batch as left out
        plan=PLAN,
        execution_timeout=timedelta(hours=2),
    )
    plan >> known
    [plan, cut] >> flows
    [plan, cut] >> sound
    [known, flow, sound] >> predict >> report
