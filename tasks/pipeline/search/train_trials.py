"""Train and score a batch of trials, each written as soon as it finishes."""

from tasks.pipeline._step import finish, finished
from tasks.pipeline.search._batch import train_batch
from tasks.pipeline.search.contract import TRAIN_TRIALS, TrainTrialsArguments
from tasks.store.objects import Store
from tasks.store.records.search import TrialBatch, TrialsResult
from tasks.store.searches import SearchPlan


def run(arguments: TrainTrialsArguments, store: Store) -> TrialsResult:
    """Train the trials that no DAG has trained yet.

    A trial that cannot be trained is recorded as failed; the others continue. It is tried again when this step runs again.

    Raises:
        Unavailable: the store, MLflow or the weights are not there for now; finished trials are not repeated.
    """
    place = TRAIN_TRIALS.address(arguments)
    earlier = finished(store, place)
    if earlier and not earlier.num_failed:
        return earlier
    plan, batch = store.read(SearchPlan(arguments.search)), store.read(arguments.batch, TrialBatch)
    train_batch(plan, batch, place, store)
    trials = [store.read(place.trial(trial.number)) for trial in batch.trials]
    return finish(store, place, TrialsResult(num_trials=len(trials), num_failed=sum(trial.failure is not None for trial in trials)))
