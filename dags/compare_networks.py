"""# Compare networks

Trains and tests several networks on one dataset, each by the steps of `retrain`, and sets them beside each other in one table: accuracy with
intervals, what differs from the first, parameters, FLOPs, latency, memory. It is started by hand, with a form: one configuration a line, and
the options that all of them share. Under *Details* of `tabulate`, the button *Report* leads to the table, and *MLflow run* to its run.

Nothing is registered or decided here. `retrain` with a configuration's options and registered model finds its training done; so does this DAG
after `retrain`.

**Owner**: whoever runs this Retake.

**When it fails**
- *Red, in `configure`*: a line of the form is no configuration; the log repeats it and says what is wrong.
- *Red, in `network`*: one configuration failed. The others go on, and the table names it with the reason. Clear its red task to try again,
  with those after it; `tabulate` follows. In `plan`, it may be the same training as another, which the log names and the table shows once.
- *Pink, skipped*: there is no dataset yet. `flows` and `flow` alone: no network looks at optical flow, or it is there already.
- *Orange, to be retried*: the store or MLflow did not answer, or the machine stopped. Training goes on from its last epoch.
- *Grey, never starting*: `train` and `evaluate` wait for a slot of the pool `gpu`, one a GPU. Latencies are of the machine that scored, so
  let nothing else run there meanwhile.

It may be run again at any time, from the start or from any task: what is done already is not done twice.
"""

from datetime import timedelta
from pathlib import Path

from airflow.sdk import DAG, task_group

from dags._flow import flow_tasks
from dags._networks import FAILURES, GROUP, network
from dags._params import Form
from dags._runner import TASK_DEFAULTS
from dags._tasks import step_task
from tasks.contracts import compare_networks
from tasks.options import ComparisonOptions, EvaluateOptions, RegisterOptions, TrainOptions
from tasks.store.comparisons import Configurations
from tasks.store.layout import Layout

FORM = Form(options=(ComparisonOptions, TrainOptions, EvaluateOptions, RegisterOptions))
CONFIGURED = Configurations("{{ ti.xcom_pull(task_ids='configure', key='result')['configured_uri'] }}")

with DAG(
    dag_id=Path(__file__).stem,
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    params=FORM.params(),
    default_args=TASK_DEFAULTS,
    tags=["retake", "model"],
) as dag:
    configure = step_task(
        compare_networks.CONFIGURE,
        FORM,
        out=Layout("{store}").comparison("{key}").folder_uri,
        returns="configurations",
        execution_timeout=timedelta(minutes=30),
    )
    flows, flow = flow_tasks(FORM, configured=CONFIGURED.folder_uri, out=CONFIGURED.flows.folder_uri)
    networks = task_group(group_id=GROUP, tooltip="Each network: its weights, training and test")(network)
    tabulate = step_task(
        compare_networks.TABULATE,
        FORM,
        configured=CONFIGURED.folder_uri,
        failures=FAILURES,
        out=CONFIGURED.table.folder_uri,
        trigger_rule="all_done_min_one_success",  # a network that failed stands in the table as failed
        execution_timeout=timedelta(hours=1),
    )
    configure >> flows
    [configure, flow] >> networks.partial(form=FORM).expand(mapped=configure.output) >> tabulate
    configure >> tabulate
