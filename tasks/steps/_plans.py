"""What every plan of a training fixes: the dataset, the options as they are trained, and the key of the run."""

from collections.abc import Iterable
from dataclasses import dataclass

from tasks.errors import BadInput, MissingObject, NothingToDo
from tasks.keys import content_key, flow_recipe_of, training_key, without_idle
from tasks.options import EvaluateOptions, FlowOptions, Modality, TrainOptions
from tasks.results.training import PlanResult, WeightsResult
from tasks.settings import MachineSettings, load
from tasks.steps._step import log
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.runs import Evaluations, Run, deciding, run_beside, run_name
from tasks.tracking import RegisteredVersion


@dataclass(frozen=True)
class PlannedTraining:
    """One training: the same options on the same dataset from the same weights are the same run, whoever asks for it."""

    train: TrainOptions
    run_key: str
    run: Run

    def evaluations(self, evaluate: EvaluateOptions) -> Evaluations:
        """Find the evaluations with these options."""
        return self.run.evaluations(content_key(evaluate.model_dump(mode="json")))


def plan_training(
    store_uri: str, digest: str, options: TrainOptions, weights: WeightsResult, model_name: str, force_token: str | None = None
) -> PlannedTraining:
    """The training of `options` on a dataset; `force_token` makes it one of its own."""
    train = without_idle(options).model_copy(update={"backbone": weights.backbone, "weights": weights.weights, "checkpoint": None})
    members = {"members": [member.checkpoint_sha256 for member in weights.members]} if weights.members else {}
    if members:
        # Nothing else that could be chosen changes a fusion; an alias may point elsewhere tomorrow.
        train = TrainOptions(fuse=list(dict.fromkeys(run_name(member.run_key) for member in weights.members)))
    run_key = content_key(
        {
            **members,
            "dataset": digest,
            "train": training_key(train),
            "model_name": model_name,
            "weights": weights.sha256,
            "code": load(MachineSettings).code_version,
            "force": force_token,
        }
    )
    return PlannedTraining(train, run_key, Layout(store_uri).run(run_key))


def find_dataset(store: Store, store_uri: str, dataset: str | None) -> Dataset:
    """Find this dataset, or the latest.

    Raises:
        NothingToDo: there is none yet.
    """
    if dataset:
        return Dataset.at(dataset)
    try:
        latest = store.read(Layout(store_uri).latest_dataset)
    except MissingObject:
        raise NothingToDo(f"there is no dataset in {store_uri} yet; run ingest_videos and build_dataset first") from None
    return Dataset(latest.dataset_uri)


def run_of(version: RegisteredVersion, store_uri: str) -> Run:
    """Find the training of a registered version: in the store that has its checkpoint, and else in this one."""
    return run_beside(version.checkpoint_uri, version.run_key, store_uri)


def plans_of(run: Run, store: Store) -> tuple[PlanResult, ...]:
    """The plans of this training, the latest first; none where the store has none. One that cannot be read is left out with a warning."""
    found = [o for o in store.list(run.decisions) if deciding(o.uri, "plan")]
    plans = []
    for one in sorted(found, key=lambda o: (o.modified, o.uri), reverse=True):
        try:
            plans.append(store.read(one.uri, PlanResult))
        except BadInput as error:
            log.warning("%s", error)
    return tuple(plans)


def flow_of(train: TrainOptions) -> FlowOptions | None:
    """How the optical flow is computed that such a network sees."""
    return train.picked(FlowOptions) if train.modality is Modality.FLOW else None


def flows_of(plan: PlanResult) -> tuple[FlowOptions, ...]:
    """How the optical flow is computed that the planned network sees, or the networks of a fusion."""
    return different([member.flow for member in plan.weights.members] or [flow_of(plan.train)])


def different(flows: Iterable[FlowOptions | None]) -> tuple[FlowOptions, ...]:
    """Each way of computing flow once."""
    return tuple({flow_recipe_of(options): options for options in flows if options}.values())
