"""# Clean up

Deletes what nothing needs any more: old trainings that no alias and no decision that is kept needs, old predictions, plans and records of ingests, uploads
that were aborted, and files of the cache that were not used for long. Every Sunday it only lists what would go, with the reasons, unless
`RETAKE_CLEAN_UP` is `delete`. Started by hand, *Only list* says which. The log has the numbers and the address of the list.

Videos, clips, labels, datasets and decisions are never deleted.

**Owner**: the operator of this Retake.

**When it fails**
- *Orange, to be retried*: the store or MLflow did not answer. Nothing to do; it retries.
- *Red*: a record of a decision cannot be read, so nothing was deleted; the last error line names it.
- *Pink, skipped, `airflow_database`*: the database is on a server; clean it there (docs/upkeep.md).

Safe to rerun at any time: what is gone is not missed, and a run that was ended goes on.
"""

from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable

from dags._databases import CleanAirflowDatabase
from dags._form import CleanUpForm, Form
from dags._tasks import dag_arguments, step_task
from tasks.pipeline.clean_up.contract import CLEAN_UP

FORM = Form(options=(CleanUpForm,), first=("dry_run", "keep_days", "keep_runs", "store"))

with DAG(
    # With False, unpausing the DAG would start a run that was due in the last minutes.
    schedule=CronTriggerTimetable("0 4 * * 0", timezone="UTC", run_immediately=timedelta(0)),
    **dag_arguments(__file__, __doc__, FORM, "upkeep"),
) as dag:
    step_task(CLEAN_UP, FORM, hours=6)
    CleanAirflowDatabase(task_id="airflow_database", form=FORM, execution_timeout=timedelta(hours=1))
