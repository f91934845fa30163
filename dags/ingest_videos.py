"""# Ingest videos

Copies videos and annotation files into the store and cuts the videos into clips of a few seconds.
Every hour it ingests new files under `inbox/` and `annotations/` of the store, and of the standing sources in `RETAKE_SOURCES`; started by hand, it ingests
the files that the form names.
New clips or annotations start `build_dataset`.

**Owner**: the operator of this Retake.

**When it fails**
- *Orange, to be retried*: the store did not answer. Nothing to do; it retries.
- *Red*: the last error line in the log of the red task says what is wrong and how to fix it. Fix it and clear the task.
- An unusable video does not fail a run. It is set aside, and the log of `summarise` names it with the reason.
- *Pink, skipped*: there was nothing new.

Safe to rerun at any time, from the start or from any task: videos and clips in the store are neither uploaded nor cut again.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, TriggerRule

from dags._form import Form
from dags._tasks import CLIPS, dag_arguments, mapped_step_task, step_task
from tasks.options import SegmentOptions, dag_options
from tasks.pipeline.ingest_videos import contract as ingest_videos
from tasks.store.layout import Layout

FORM = Form(
    options=dag_options.INGEST,
    first=("sources", "clip_seconds", "fps", "short_side", "then", "store"),
    shared=(SegmentOptions,),
    then=(*dag_options.DATASET, *dag_options.RETRAIN),
)
INGEST = Layout("{store}").ingest("{key}").folder_uri

with DAG(
    # With False, unpausing the DAG would start a run that was due in the last minutes.
    schedule=CronTriggerTimetable("@hourly", timezone="UTC", run_immediately=timedelta(0)),
    **dag_arguments(__file__, __doc__, FORM, "data"),
) as dag:
    ingest = step_task(ingest_videos.INGEST, FORM, out=INGEST, returns="batches", hours=6)
    segment = mapped_step_task(ingest_videos.SEGMENT, FORM, over=ingest, max_active_tis_per_dagrun=2, hours=12)
    summarise = step_task(
        ingest_videos.SUMMARISE,
        FORM,
        ingest=INGEST,
        outlets=[CLIPS],
        # With new annotations but no new video, `segment` is skipped; a skipped `ingest` skips this task, too.
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
        hours=0.5,
    )
    [ingest, segment] >> summarise
