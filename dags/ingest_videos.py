"""# Videos in

Takes videos and annotation files into the store and cuts the videos into clips of a few seconds.
Every hour it takes what people put under `inbox/` and `annotations/` of the store; started by hand, it takes what the form names.
When clips or annotations are new, `build_dataset` follows by itself.

**Owner**: whoever runs this Retake.

**When it fails**
- *Orange, to be retried*: the store did not answer. Nothing to do; it tries again.
- *Red*: open the log of the red task; its last error line says what is wrong and what to do. Mend that and clear the task.
- A video that cannot be used does not fail a run. It is set aside, and the log of `summarise` names it with the reason.
- *Pink, skipped*: there was nothing new.

It may be run again at any time, from the start or from any task: what is in the store already is neither uploaded nor cut again.
"""

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, CronTriggerTimetable, TriggerRule

from dags._assets import CLIPS
from dags._params import Form
from dags._runner import TASK_DEFAULTS, StepOperator
from tasks.options import (
    EvaluateOptions,
    GateOptions,
    IngestOptions,
    LabelOptions,
    RegisterOptions,
    RetrainOptions,
    SegmentOptions,
    SplitOptions,
    TrainOptions,
)
from tasks.store.layout import Layout

FORM = Form(
    options=(IngestOptions, SegmentOptions),
    shared=(SegmentOptions,),
    then=(LabelOptions, SplitOptions, RetrainOptions, TrainOptions, EvaluateOptions, RegisterOptions, GateOptions),
)
INGEST = Layout("{store}").ingest("{key}")

with DAG(
    dag_id=Path(__file__).stem,
    doc_md=__doc__,
    # False would still start a tick of the last minutes at once when the DAG is first switched on.
    schedule=CronTriggerTimetable("@hourly", timezone="UTC", run_immediately=timedelta(0)),
    max_active_runs=1,
    params=FORM.params(),
    default_args=TASK_DEFAULTS,
    tags=["retake", "data"],
) as dag:
    ingest = StepOperator(
        task_id="ingest",
        step="ingest",
        form=FORM,
        options=(IngestOptions, SegmentOptions),
        out=INGEST.folder_uri,
        returns="batches",
        execution_timeout=timedelta(hours=6),
    )
    segment = StepOperator.partial(
        task_id="segment",
        step="segment",
        form=FORM,
        options=(SegmentOptions,),
        inputs={"batch": "{{ task.mapped.uri }}"},
        out="{{ task.mapped.out }}",
        map_index_template="{{ task.mapped.name | truncate(100) }}",
        max_active_tis_per_dagrun=2,
        execution_timeout=timedelta(hours=12),
    ).expand(mapped=ingest.output)
    summarise = StepOperator(
        task_id="summarise",
        step="summarise",
        form=FORM,
        options=(SegmentOptions,),
        inputs={"ingest": INGEST.folder_uri},
        out=INGEST.summary.folder_uri,
        outlets=[CLIPS],
        # New annotations alone make no batch, so that `segment` is skipped; a skipped ingest skips this too.
        trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS,
        execution_timeout=timedelta(minutes=30),
    )
    [ingest, segment] >> summarise
