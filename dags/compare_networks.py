"""# Compare networks

Trains and tests several networks on one dataset, each with the steps of `retrain`, and compares them in one table: accuracy with intervals,
differences from the first network, parameters, FLOPs, latency, memory. Start it by hand, with a form: one configuration per line, and the
options that all of them share. Under *Details* of `tabulate`, the button *Report* opens the table, and *MLflow run* its run.

Nothing is registered or promoted here. `retrain` reuses a training of this DAG if options and registered model are the same, and vice versa.

**When it waits for you**: before a network that is expected to train for longer than *Longest training*, its task `ask` asks under *Required actions*
whether to train it, to start the whole comparison again with the recipe `auto` when this one has ended, or to skip it. Without an answer in 72 hours
it is skipped. The others go on.

**Owner**: the operator of this Retake.

**When it fails**
- *Red, in `configure`*: a line of the form is invalid; the log repeats it with the reason.
- *Red, in `network`*: one configuration failed. The others continue, and the table names it with the reason. To retry, clear its red task with
  its downstream tasks; `tabulate` runs again. In `plan`, it may be the same training as another; the log names that one, and the table shows it once.
- *Pink, skipped*: there is no dataset yet. `use_auto` is skipped in almost every run. `ask` and what follows: a long training was not wanted. Only `flows` and `flow`, or `sound`: no network needs optical flow or hears, or it is there already.
- *Orange, to be retried*: the store or MLflow did not answer, or the machine stopped. Training resumes after its last epoch.
- *Grey, never starting*: `train` and `evaluate` wait for a slot of the pool `gpu`, one per GPU. Latency is measured on the machine that tests:
  run nothing else there meanwhile.

Safe to rerun at any time, from the start or from any task: finished work is not repeated.
"""

from airflow.sdk import DAG, task_group

from dags._form import Form
from dags._groups import ASK, FAILURES, GROUP, network
from dags._tasks import dag_arguments, flow_tasks, sound_task, step_task
from dags._triggers import UseAuto
from tasks.options import ComparisonOptions, EvaluateOptions, PresetOptions, RegisterOptions, TrainOptions
from tasks.pipeline.compare_networks import contract as compare_networks
from tasks.store.layout import Layout

FORM = Form(
    options=(PresetOptions, ComparisonOptions, TrainOptions, EvaluateOptions, RegisterOptions),
    first=("configurations", "preset", "dataset", "backbone", "epochs", "batch_size", "learning_rate", "store"),
    more=("split", "max_hours", "family", "modality", "head", "trainable", "weights", "crops", "engine", "model_name"),
)
CONFIGURED = "{{ ti.xcom_pull(task_ids='configure', key='result')['configured_uri'] }}"

with DAG(schedule=None, **dag_arguments(__file__, __doc__, FORM, "model")) as dag:
    configure = step_task(
        compare_networks.CONFIGURE, FORM, out=Layout("{store}").comparison("{key}").folder_uri, returns="configurations", hours=0.5
    )
    flows, flow = flow_tasks(FORM, configured=CONFIGURED)
    sound = sound_task(FORM, configured=CONFIGURED)
    networks = task_group(group_id=GROUP, tooltip="Weights, training and test of each network")(network)
    tabulate = step_task(
        compare_networks.TABULATE,
        FORM,
        configured=CONFIGURED,
        failures=FAILURES,
        trigger_rule="all_done_min_one_success",  # the table shows a failed network as failed
        hours=1,
    )
    configure >> [flows, sound]
    each = networks.partial(form=FORM).expand(mapped=configure.output)
    use_auto = UseAuto(
        task_id="use_auto", trigger_dag_id="compare_networks", form=FORM, question=ASK, trigger_rule="all_done_min_one_success"
    )
    [configure, flow, sound] >> each >> tabulate
    each >> use_auto
    configure >> [tabulate, use_auto]
