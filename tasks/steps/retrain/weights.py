"""Fetch and verify the weights to start from, and store their network, the baseline."""

import tempfile
from pathlib import Path

from pydantic import ValidationError

from tasks.contracts.retrain import WEIGHTS, WeightsArguments
from tasks.errors import BadConfiguration, NothingToDo
from tasks.model.gpus import keep_to_one_gpu, trains_on_gpu
from tasks.model.timing import time_batch
from tasks.options import Modality, TrainOptions, choose_recipe
from tasks.refusals import refusals
from tasks.results.training import Pace, WeightsResult
from tasks.settings import MachineSettings, load
from tasks.steps._checkpoints import fetch_network
from tasks.steps._plans import find_dataset
from tasks.steps._step import finish, log
from tasks.steps._weights import find_weights
from tasks.steps.retrain._fusion import equal_fusion
from tasks.store.objects import Store


def run(arguments: WeightsArguments, store: Store) -> WeightsResult:
    """Find the weights of a training, or the networks of a fusion, and time a batch where the training runs on such a machine.

    Raises:
        BadInput: a network cannot be fused.
        BadCheckpoint, BadConfiguration, Unavailable: as `find_weights`.
        NothingToDo: the preset is `auto`, and there is no dataset yet.
    """
    store.ensure_bucket(arguments.store)
    num_clips = _num_clips(arguments, store)
    options, chosen = arguments.picked(TrainOptions), ""
    if arguments.preset == "auto":
        options, chosen = _chosen(options, num_clips)
        log.info("%s", chosen)
    if options.fuse:
        joint = options if options.join == "features" else None
        result = equal_fusion(options.fuse, arguments.store, store, joint)
    else:
        result = find_weights(options, arguments.store, store)
        if num_clips:
            result = result.model_copy(update={"pace": _pace(arguments, result, options, num_clips, store)})
    if chosen:
        result = result.model_copy(update={"recipe": options, "chosen": chosen})
    return finish(store, WEIGHTS.address(arguments), result)


def _num_clips(arguments: WeightsArguments, store: Store) -> int:
    """Count the training clips; 0 if there is no dataset, and the preset needs none."""
    try:
        dataset = find_dataset(store, arguments.store, arguments.dataset)
    except NothingToDo:
        if arguments.preset == "auto":
            raise
        return 0
    return sum(clip.split == "train" for clip in store.read(dataset.manifest).clips)


def _chosen(options: TrainOptions, num_clips: int) -> tuple[TrainOptions, str]:
    try:
        return choose_recipe(options.model_dump(mode="json"), has_gpu=trains_on_gpu(), num_clips=num_clips)
    except ValidationError as error:
        reasons = "; ".join(f"{name}: {reason}" if name else reason for name, reason in refusals(error, TrainOptions))
        raise BadConfiguration(f"preset auto: {reasons}; or set preset to none") from None


def _pace(arguments: WeightsArguments, result: WeightsResult, options: TrainOptions, num_clips: int, store: Store) -> Pace | None:
    """Time a batch, unless an earlier try did, nothing sees pictures, or the training has a device that this process lacks."""
    if options.modality is Modality.SOUND:
        return None
    address = WEIGHTS.address(arguments)
    if store.exists(address.uri) and (earlier := store.read(address)).sha256 == result.sha256 and earlier.pace:
        return earlier.pace
    device = load(MachineSettings).device
    keep_to_one_gpu()
    with tempfile.TemporaryDirectory(prefix="retake-weights-") as name:
        network = fetch_network(store, result.uri, result.sha256, Path(name)).network
        return time_batch(network, options, num_clips, "cuda" if device == "auto" and trains_on_gpu() else device)
