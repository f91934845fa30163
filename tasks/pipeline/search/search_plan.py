"""Plan a search: fix dataset and folds, and check the space before training."""

from tasks.data.split.folds import folds_of
from tasks.data.split.manifest import dataset_digest
from tasks.errors import BadConfiguration, BadDataset
from tasks.judge.search.suggest import SEARCH_SEED, START_OPTIONS, Space
from tasks.keys import options_key, search_key, without_later
from tasks.options import EvaluateOptions, SearchOptions, TrainOptions, Weights
from tasks.pipeline._datasets import write_dataset
from tasks.pipeline._plans import find_dataset, is_trained, recipe_for, require_no_secrets
from tasks.pipeline._results import finish, log
from tasks.pipeline.search.contract import PLAN, SearchPlanArguments
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.records.dataset import Manifest
from tasks.store.records.search import SearchPlanResult
from tasks.wording import count

NUM_FOLDS = 3


def run(arguments: SearchPlanArguments, store: Store) -> SearchPlanResult:
    """Fix everything that the rounds have in common.

    Raises:
        BadConfiguration: a range is wrong or contradicts other options, or an address has a password.
        BadDataset: there is nothing to select trials on.
        MissingObject: there is no such dataset.
        NothingToDo: there is no dataset yet.
    """
    dataset = find_dataset(store, arguments.store, arguments.dataset)
    chosen, evaluate = arguments.picked(SearchOptions), arguments.picked(EvaluateOptions)
    require_no_secrets(*chosen.ranges, arguments.checkpoint, arguments.backbone_weights)
    manifest = store.read(dataset.manifest)
    # A search trains many networks: with `auto` heads alone, even on a GPU.
    num_clips = sum(clip.split == "train" for clip in manifest.clips)
    train, reason = recipe_for(
        arguments.preset, arguments.picked(TrainOptions), num_clips, arguments.store, store, frozen=True, varied=arguments.search
    )
    if reason:
        log.info("%s", reason)
    space = Space.of(chosen, train)
    for line in space.untried():
        log.warning("%s", line)
    _require_one_start(chosen, train)
    # A saved recipe may change: a search lies where its options say, however they were named.
    resolved = arguments if arguments.preset == "auto" else arguments.model_copy(update={"preset": "none", **dict(train)})
    place = PLAN.address(resolved).on(dataset.digest)
    folds = {Dataset(place.fold(dataset_digest(fold))): fold for fold in _folds(dataset, manifest, chosen)}
    for place_of_fold, fold in folds.items():
        write_dataset(place_of_fold, fold, store)
    chosen = chosen.model_copy(update={"folds": len(folds)})
    plan = SearchPlanResult(
        key=search_key(
            {
                "dataset": dataset.digest,
                "search": {
                    **without_later(chosen.model_dump(mode="json", exclude={"dataset", "then_retrain"}), SearchOptions),
                    # Ranges of other options have no effect.
                    "ranges": [line for line in chosen.ranges if line.partition("=")[0].strip() in chosen.search],
                },
                "train": options_key(train),
                "evaluate": evaluate.model_dump(mode="json", include={"crops"}),  # trials have no engine and no resamples
                "model_name": arguments.model_name,
            }
        ),
        search_uri=place.folder_uri,
        dataset_uri=dataset.folder_uri,
        dataset_digest=dataset.digest,
        search=chosen,
        train=train,
        evaluate=evaluate,
        model_name=arguments.model_name,
        fold_uris=tuple(own.folder_uri for own in folds or (dataset,)),
    )
    scored = count(len(folds), "fold") if folds else "val"
    log.info(
        "search %s: %d trials in %d rounds, scored on %s, on dataset %s", plan.key, chosen.num_trials, chosen.rounds, scored, dataset.digest
    )
    # The rounds read the plan here: the same form may lead to a plan for another dataset.
    finish(store, place, plan)
    return finish(store, PLAN.address(arguments), plan)


def _require_one_start(chosen: SearchOptions, train: TrainOptions) -> None:
    """Reject a trained start that fits one of the searched networks alone."""
    if (others := sorted(START_OPTIONS & set(chosen.search))) and (train.weights is Weights.TRAINED or is_trained(train.checkpoint or "")):
        raise BadConfiguration(
            f"checkpoint {train.checkpoint} is a trained network, which fits one value of {', '.join(others)}; do not search these, or start from "
            "published weights"
        )


def _folds(dataset: Dataset, manifest: Manifest, chosen: SearchOptions) -> list[Manifest]:
    """Divide train into folds; return none where trials are scored on val.

    Without a choice there are `NUM_FOLDS`, or as many as train can have.
    """
    if chosen.folds:
        return folds_of(manifest, chosen.folds, SEARCH_SEED)
    for number in range(NUM_FOLDS, 1, -1) if chosen.folds is None else ():
        try:
            return folds_of(manifest, number, SEARCH_SEED)
        except BadDataset:
            continue
    if not any(clip.split == "val" for clip in manifest.clips):
        remedy = "add labelled videos" if chosen.folds is None else "add labelled videos, or leave `folds` empty"
        raise BadDataset(f"{dataset.folder_uri} has no clip in val to score trials on; {remedy}")
    if chosen.folds is None:
        log.warning("trials are scored on val, because train cannot have folds; a later decision on val counts them all")
    return []
