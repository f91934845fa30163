"""# Search

Searches the best recipe for a network on the latest dataset: learning rate, schedule, batch size, regularization, and any other option that you
tick. Each round suggests trials from the results of the rounds before it, trains them, and scores them on val or in cross-validation. Start it by
hand, with a form. Under *Details* of `report` and `retrain`, *Report* opens the table of all trials, and *MLflow run* the run that has them as
child runs.

The search never sees the test split, and nothing is registered or promoted here. *Retrain the winner* starts `retrain` with the winner's options;
its gate decides. If options and registered model are the same, this DAG finds a training of `retrain`, and `retrain` one of a whole network that
this DAG trained; it trains heads again, in seconds.

**Owner**: the operator of this Retake.

**When it fails**
- *Red, in `plan`*: a range of the form is invalid; the log says which.
- *Red, in `trials`*: the machine or the store failed more often than a task is retried. The other trials count, and the table shows these as failed.
- *Failed trials in the table*: it has the reason. If the cause has passed, clear their task `trials`, red or green, with its downstream tasks. Later
  rounds are suggested anew if results changed.
- *Pink, skipped*: in `plan`, there is no dataset yet. Elsewhere, the search has fewer rounds, or its space has no further trial.
- *Orange, to be retried*: the store or MLflow did not answer, or the machine stopped. Finished trials are not repeated.
- *Grey, never starting*: `trials` waits for a slot of the pool `gpu`, one per GPU.

Safe to rerun at any time, from the start or from any task: the same results lead to the same suggestions, and finished work is not repeated.
"""

from airflow.sdk import DAG

from dags._form import Form
from dags._groups import SEARCH, add_rounds
from dags._tasks import dag_arguments, mapped_step_task, step_task
from dags._triggers import RetrainWinner
from tasks.options import EvaluateOptions, PresetOptions, RegisterOptions, SearchOptions, TrainOptions
from tasks.pipeline.search import contract as search

MORE = (
    "ranges", "objectives", "folds", "backbone", "family", "modality", "head",
    "trainable", "epochs", "crops", "model_name",
)  # fmt: skip
"""Shown in collapsed sections. Any other option is hidden."""
FORM = Form(
    options=(PresetOptions, SearchOptions, TrainOptions, EvaluateOptions, RegisterOptions),
    first=("preset", "search", "num_trials", "rounds", "dataset", "then_retrain", "store"),
    more=MORE,
)

with DAG(schedule=None, **dag_arguments(__file__, __doc__, FORM, "model")) as dag:
    plan = step_task(search.PLAN, FORM, hours=0.5)
    rounds = add_rounds(plan, FORM)
    repeat = step_task(
        search.REPEAT_WINNER,
        FORM,
        search=SEARCH,
        returns="batches",
        trigger_rule="none_failed_min_one_success",  # rounds beyond the last are skipped
        hours=0.5,
    )
    seeds = mapped_step_task(search.TRAIN_TRIALS, FORM, task_id="seeds", over=repeat, search=SEARCH, hours=72)
    report = step_task(
        search.REPORT,
        FORM,
        search=SEARCH,
        trigger_rule="all_done_min_one_success",  # the report says which new seeds failed
        hours=1,
    )
    rounds >> repeat >> seeds >> report >> RetrainWinner(task_id="retrain", report="report")
    repeat >> report
