"""# Dataset

Collects the labels of all clips, assigns their source videos to train, val and test, and writes the dataset with its histograms.
It runs whenever `ingest_videos` added something, and by hand with a form. A dataset that differs from the last starts `retrain`; else `dataset` is skipped, pink, or `split` where no clip has a label yet.

**Owner**: the operator of this Retake.

**When it fails**
- *Orange, to be retried*: the store or MLflow did not answer. Nothing to do; it retries.
- *Red, in `label`*: an annotation file cannot be read; the log names file, line and reason. Upload a corrected file and clear the task.
- *Red, in `split` or `dataset`*: the labelled clips do not make a dataset, for example because all show one action. The log says what is missing.

A rejected or overridden label does not fail a run; the log of `label` names it. The log also says how folder names were read, which clips are
left out, and which names may mean the same class. To merge names, write `annotations/classes.csv` with the columns target, name and same_as.

Safe to rerun at any time, from the start or from any task. A source video never changes its split.
"""

from airflow.sdk import DAG

from dags._form import Form
from dags._tasks import CLIPS, DATASET, dag_arguments, step_task
from tasks.options import SegmentOptions, dag_options
from tasks.pipeline.build_dataset import contract as build_dataset
from tasks.store.layout import Layout

FORM = Form(
    options=(*dag_options.DATASET, SegmentOptions),
    first=("val_share", "test_share", "split_seed", "min_overlap", "then", "store"),
    then=dag_options.RETRAIN,
)
LABELS = Layout("{store}").labels("{recipe}").folder_uri

with DAG(schedule=[CLIPS], **dag_arguments(__file__, __doc__, FORM, "data")) as dag:
    label = step_task(build_dataset.LABEL, FORM, hours=1)
    split = step_task(build_dataset.SPLIT, FORM, labels=LABELS, hours=0.5)
    dataset = step_task(build_dataset.DATASET, FORM, labels=LABELS, outlets=[DATASET], hours=1)
    label >> split >> dataset
