"""# Compare versions

Compares two versions of a registered model, or two other trained networks, on labelled clips that neither was trained on: those of a dataset, without
every video that trained one of the two or chose among its epochs. Start it by hand, with a form. Under *Details* of `compare_versions`, the button
*Report* opens the page: accuracy with intervals, differences, confusion matrices, and the clips that the two answer differently.

Nothing is registered or promoted here.

**Owner**: the operator of this Retake.

**When it fails**
- *Red*: there is no such version, both are the same network, or too few clips are left and no report compares them; the log
  gives the numbers. Label clips of new videos.
- *Pink, skipped*: there is no dataset yet, or too few clips are left and a report of `retrain` compares both; the log has its address.
- *Orange, to be retried*: the store or MLflow did not answer. Nothing to do; it retries.
- *Grey, never starting*: it waits for a slot of the pool `gpu`, one per GPU.

Safe to rerun at any time: finished work is not repeated.
"""

from datetime import timedelta

from airflow.sdk import DAG

from dags._form import Form
from dags._tasks import dag_arguments, step_task
from tasks.options import EvaluateOptions, VersionOptions
from tasks.pipeline.compare_versions.contract import COMPARE_VERSIONS

FORM = Form(options=(VersionOptions, EvaluateOptions), first=("first", "second", "dataset", "split", "store"))

with DAG(schedule=None, **dag_arguments(__file__, __doc__, FORM, "model")) as dag:
    step_task(COMPARE_VERSIONS, FORM, execution_timeout=timedelta(hours=12))
