"""Fetch and verify the weights to start from, and store their network, the baseline."""

from tasks.contracts.retrain import WEIGHTS, WeightsArguments
from tasks.options import TrainOptions
from tasks.results.training import WeightsResult
from tasks.steps._step import finish
from tasks.steps._weights import find_weights
from tasks.steps.retrain._fusion import equal_fusion
from tasks.store.objects import Store


def run(arguments: WeightsArguments, store: Store) -> WeightsResult:
    """Find the weights of a training, or the networks of a fusion.

    Raises:
        BadInput: a network cannot be fused.
        BadCheckpoint, BadConfiguration, Unavailable: as `find_weights`.
    """
    store.ensure_bucket(arguments.store)
    if arguments.fuse:
        joint = arguments.picked(TrainOptions) if arguments.join == "features" else None
        found = equal_fusion(arguments.fuse, arguments.store, store, joint)
    else:
        found = find_weights(arguments.picked(TrainOptions), arguments.store, store)
    return finish(store, WEIGHTS.address(arguments), found)
