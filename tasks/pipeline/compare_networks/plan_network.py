"""Plan one configuration's training: `retrain`'s run with equal options, without a decision."""

from tasks.data.split.manifest import num_clips
from tasks.errors import BadConfiguration, BadDataset
from tasks.keys import content_key, options_key
from tasks.options import EvaluateOptions, TrainOptions
from tasks.pipeline._estimate import estimate, question
from tasks.pipeline._plans import find_dataset, plan_training
from tasks.pipeline._results import finish, log
from tasks.pipeline.compare_networks.contract import PLAN_NETWORK, PlanNetworkArguments
from tasks.store.objects import Store
from tasks.store.records.training import PlanResult, WeightsResult
from tasks.store.run_layout import Claims
from tasks.store.stored import Output


def run(arguments: PlanNetworkArguments, store: Store) -> PlanResult:
    """Plan the training under the run key of `retrain`, so that neither repeats it.

    Only the new network is scored, on val unless the form spends the test split. No champion is looked up. Under the
    plan's `decision_uri` lies the plan alone.

    Raises:
        BadDataset: it has no clip in this split.
        MissingObject: there is no such dataset.
        BadConfiguration: another configuration of the comparison has claimed it.
    """
    dataset = find_dataset(store, arguments.store, arguments.dataset)
    manifest = store.read(dataset.manifest)
    weights = store.read(Output(arguments.weights_result, WeightsResult))
    training = plan_training(arguments.store, dataset.digest, arguments.picked(TrainOptions), weights, arguments.model_name)
    evaluate = arguments.picked(EvaluateOptions)
    split = arguments.split
    if not any(clip.split == split for clip in manifest.clips):
        raise BadDataset(f"{dataset.folder_uri} has no clip in {split}; choose the other split, or build it again with a {split}_share")
    spends = {"split": split} if split == "test" else {}
    decision = training.run.comparison(content_key(options_key(evaluate) | spends))
    expected = estimate(training.train, weights, manifest, None, store)
    has_begun = store.exists(training.run.train.uri) or store.exists(training.run.train.last)
    too_long = "" if has_begun else question(expected, arguments.max_hours)
    plan = training.without_decision(dataset, weights, evaluate, decision, arguments.model_name, [split]).model_copy(
        update={
            "num_train_clips": num_clips(manifest)["train"],
            "estimate": expected.line,
            "question": too_long and f"`{arguments.name}`: {too_long}",
        }
    )
    log.info("%s", expected.line)
    log.info("run %s: %s from %s on dataset %s", plan.run_key, weights.network, weights.description, dataset.digest)
    # `tabulate` reads here which training it is, also where another name has claimed it.
    finish(store, PLAN_NETWORK.address(arguments), plan)
    _claim(Claims(arguments.claims).of(training.run_key), arguments.name, store)
    # Later steps read the plan here: another name of the same training must not change it.
    return finish(store, decision.plan, plan)


def _claim(uri: str, name: str, store: Store) -> None:
    """Claim the training, since two tasks must not train it at once."""
    if store.create_bytes(uri, name.encode()):
        return
    other = store.read_bytes(uri).decode()
    if other != name:
        raise BadConfiguration(
            f"configurations: `{name}` is the same training as `{other}`, now that backbone and weights are known; the table shows both as one"
        )
