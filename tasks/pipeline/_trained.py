"""Find trained networks by the names in options. Does not import torch."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tasks.errors import BadConfiguration, BadInput, MissingObject
from tasks.options import Weights
from tasks.pipeline._plans import MODEL, latest_plan
from tasks.settings import MlflowSettings, RunnerSettings, load
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetClip
from tasks.store.records.training import PlanResult
from tasks.store.records.video import ClipRecord
from tasks.store.run_layout import Run, parse_run, run_holding, run_name
from tasks.tracking import Reference, Registry


@dataclass(frozen=True)
class Trained:
    """A finished training: names for options and pages, key, and checkpoint."""

    name: str
    label: str
    run_key: str
    checkpoint_uri: str
    checkpoint_sha256: str


def store_of(name: str) -> str:
    """Find a network's store by its name in options, else by MLflow, else by RETAKE_STORE_URI."""
    if MODEL.fullmatch(name):
        own = Registry(load(MlflowSettings)).store_of(Reference.parse(name).name)
    else:
        own = (named := parse_run(name)) and named.store
    return (own or load(RunnerSettings).store_uri).rstrip("/")


def find_trained(option: str, name: str, store_uri: str, store: Store) -> Trained:
    """Find the training that `name` stands for under this option.

    Raises:
        BadConfiguration: no network has a name of this form.
        BadInput: there is no such training, it belongs to another store, or its labels were altered.
    """
    if MODEL.fullmatch(name):
        model, version = Registry(load(MlflowSettings)).resolve(name)
        network = Trained(name, f"{model} version {version.version}", version.run_key, version.checkpoint_uri, version.checkpoint_sha256)
    elif named := parse_run(name):
        run = Layout(named.store or store_uri).run(named.key)
        _require_same_store(option, name, run.folder_uri, store_uri)
        try:
            trained = store.read(run.train)
        except MissingObject:
            raise BadInput(f"{option}: {name}: {store_uri} has no finished training under {run_name(named.key)}") from None
        if trained.label_noise:
            raise BadInput(
                f"{option}: {name} was trained on altered labels (label_noise {trained.label_noise:g}), for study; choose another"
            )
        network = Trained(name, run_name(named.key), named.key, trained.checkpoint_uri, trained.checkpoint_sha256)
    else:
        raise BadConfiguration(
            f"{option}: {name} names no network; write models:/NAME@ALIAS, models:/NAME/VERSION, or runs/KEY/ of a training in this store"
        )
    _require_same_store(option, name, network.checkpoint_uri, store_uri)
    return network


def _require_same_store(option: str, name: str, uri: str, store_uri: str) -> None:
    """Require a network of this store.

    Splits are fixed within a store: a network of another store may have been trained on clips that are tested here.
    """
    if not Layout(store_uri).holds(uri):
        raise BadInput(
            f"{option}: {name} was trained in another store ({uri}), perhaps on clips that {store_uri} keeps for tests; "
            "train it in this store"
        )


def plan_of(run: Run, store: Store) -> PlanResult:
    """Read the latest plan of a training, preferably of a decision; raise BadInput without any."""
    if plan := latest_plan(run, store):
        return plan
    raise BadInput(f"{run.folder_uri} has no plan")


def trained_on(run: Run, store: Store) -> Iterator[DatasetClip]:
    """Yield the clips of a training, and of the trainings that it was made from."""
    plan = plan_of(run, store)
    yield from (clip for clip in store.read(Dataset(plan.dataset_uri).manifest).clips if clip.split != "test")
    for earlier in map(run_holding, plan.made_from):
        if earlier:
            yield from trained_on(earlier, store)


def taught_on(run: Run, store: Store) -> Iterator[ClipRecord]:
    """Yield the unlabelled clips that taught a student, or a network it was made from."""
    plan = plan_of(run, store)
    if plan.teacher:
        yield from store.read(run.train.unlabelled).clips
    for earlier in map(run_holding, plan.made_from):
        if earlier:
            yield from taught_on(earlier, store)


def first_weights(plan: PlanResult, store: Store) -> frozenset[Weights]:
    """Collect the weights that a network began with at first; raise BadInput if unknown."""
    earlier = [run for run in map(run_holding, plan.started_from) if run]
    if not earlier:
        return frozenset({plan.weights.weights})
    return frozenset().union(*(first_weights(plan_of(run, store), store) for run in earlier))


def unseen(clips: Sequence[DatasetClip], trained_on: Iterable[DatasetClip | ClipRecord]) -> tuple[DatasetClip, ...]:
    """Select the clips whose videos and source videos were not trained on.

    A source video may have had another name at the training, so all its files of today are left out with one of them.
    """
    seen = {name for clip in trained_on for name in (clip.uid, clip.video, getattr(clip, "source", clip.video))}
    sources = {clip.source for clip in clips if not seen.isdisjoint((clip.uid, clip.video, clip.source))}
    return tuple(clip for clip in clips if clip.source not in sources)
