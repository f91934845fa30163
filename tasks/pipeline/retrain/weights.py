"""Fetch and verify the weights to start from, and store their network, the baseline."""

from tasks.errors import NothingToDo
from tasks.learn.gpus import keep_to_one_gpu
from tasks.learn.training.costs import time_batch
from tasks.options import Modality, TrainOptions
from tasks.pipeline._checkpoints import fetch_network
from tasks.pipeline._fusion import equal_fusion
from tasks.pipeline._plans import find_dataset, recipe_for, repeats_of
from tasks.pipeline._results import finish, log
from tasks.pipeline._weights import find_weights
from tasks.pipeline.retrain.contract import WEIGHTS, WeightsArguments
from tasks.settings import MachineSettings, load
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.records.training import BatchTime, SeededStart, WeightsResult
from tasks.wording import count, without_secrets


def run(arguments: WeightsArguments, store: Store) -> WeightsResult:
    """Find the recipe and the weights, and time a batch.

    Raises:
        BadInput: a network cannot be fused.
        BadCheckpoint, BadConfiguration, Unavailable: as `find_weights`.
        NothingToDo: a recipe is named, and there is no dataset yet.
    """
    store.ensure_bucket(arguments.store)
    dataset = _dataset(arguments, store)
    num_clips = sum(clip.split == "train" for clip in store.read(dataset.manifest).clips) if dataset else 0
    options, chosen = recipe_for(arguments.preset, arguments.picked(TrainOptions), num_clips, arguments.store, store)
    if chosen:
        log.info("%s", chosen)
    if options.fuse:
        joint = options if options.join == "features" else None
        result = equal_fusion(options.fuse, arguments.store, store, joint)
    else:
        result = find_weights(options, arguments.store, store)
    if repeats := repeats_of(options, arguments.num_seeds):
        log.info("%s train: %s", count(1 + len(repeats), "seed"), ", ".join(str(own.seed) for own in (options, *repeats)))
        starts = tuple(_start(own, result, arguments.store, store) for own in repeats)
        result = result.model_copy(update={"repeats": starts})
    elif (arguments.num_seeds or 1) > 1:
        log.info("num_seeds %d: trained once, because a seed changes nothing in this training", arguments.num_seeds)
    if chosen and dataset:
        shown = {name: without_secrets(value) for name in ("checkpoint", "backbone_weights") if (value := getattr(options, name))}
        result = result.model_copy(update={"recipe": options.model_copy(update=shown), "chosen": chosen, "dataset_uri": dataset.folder_uri})
    # Sound has no frames for a batch.
    if num_clips and not options.fuse and options.modality is not Modality.SOUND:
        result = result.model_copy(update={"pace": _pace(arguments, result, options, num_clips, store)})
    return finish(store, WEIGHTS.address(arguments), result)


def _start(repeat: TrainOptions, first: WeightsResult, store_uri: str, store: Store) -> SeededStart:
    """Draw the untrained heads of a further seed; trained heads depend on none."""
    own = first
    if first.is_chance and not repeat.fuse:
        own = find_weights(repeat.model_copy(update={"backbone": first.backbone, "weights": first.weights}), store_uri, store)
    return SeededStart(seed=repeat.seed, uri=own.uri, sha256=own.sha256)


def _dataset(arguments: WeightsArguments, store: Store) -> Dataset | None:
    """Find the dataset of the training; None without any, unless a recipe needs one."""
    try:
        return find_dataset(store, arguments.store, arguments.dataset)
    except NothingToDo:
        if arguments.preset != "none":
            raise
        return None


def _pace(arguments: WeightsArguments, result: WeightsResult, options: TrainOptions, num_clips: int, store: Store) -> BatchTime | None:
    """Time a batch, unless an earlier try did; None if this machine lacks the device."""
    machine, address = load(MachineSettings), WEIGHTS.address(arguments)
    earlier = store.read(address) if store.exists(address.uri) else None
    is_same = earlier is not None and (earlier.sha256, earlier.recipe) == (result.sha256, result.recipe)
    keep_to_one_gpu()
    network = fetch_network(store, result.uri, result.sha256).network
    device = "cuda" if (machine.device, machine.trains_on) == ("auto", "cuda") else machine.device
    return time_batch(network, options, num_clips, device, known=earlier.pace if earlier and is_same else None)
