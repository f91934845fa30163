"""Plan a training: its dataset, its options as trained, and the key of its run."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError

from tasks.errors import BadConfiguration, BadInput, MissingObject, NothingToDo
from tasks.keys import content_key, flow_recipe_of, fused, options_key, shows_one_view, without_idle
from tasks.learn.gpus import trains_on_gpu
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import (
    MODEL_REFERENCE,
    PRESETS,
    EvaluateOptions,
    FlowOptions,
    GateOptions,
    Head,
    Modality,
    RecipeName,
    TrainOptions,
    Weights,
    choose_recipe,
    with_recipe,
)
from tasks.options.base import refusals
from tasks.options.presets import PURPOSES
from tasks.pipeline._results import log
from tasks.settings import MachineSettings, load
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.records.record import SplitName
from tasks.store.records.training import Evaluation, PlanResult, Recipe, WeightsResult
from tasks.store.run_layout import Decision, Evaluations, Run, deciding, parse_run, run_beside, run_name
from tasks.store.stored import Output
from tasks.tracking import RegisteredVersion
from tasks.wording import without_secrets

MODEL = re.compile(MODEL_REFERENCE)


CHEAP_SEEDS = 5
"""Number of seeds, unless a person chooses, where each costs seconds: of heads on cached features. Fewer show too few gains (docs/evidence.md)."""


@dataclass(frozen=True)
class PlannedTraining:
    """One training: equal options, dataset and weights make the same run, whichever DAG requests it."""

    train: TrainOptions
    run_key: str
    run: Run

    def evaluations(self, evaluate: EvaluateOptions) -> Evaluations:
        """Find the evaluations with these options."""
        return self.run.evaluations(content_key(options_key(evaluate)))

    def evaluation(self, evaluate: EvaluateOptions, split: SplitName) -> Evaluation:
        """Plan the test of the new network on a split."""
        return Evaluation(model="fine-tuned", split=split, out=self.evaluations(evaluate).scores("fine-tuned", split).folder_uri)

    def without_decision(
        self,
        dataset: Dataset,
        weights: WeightsResult,
        evaluate: EvaluateOptions,
        place: Decision,
        model_name: str,
        splits: Iterable[SplitName],
    ) -> PlanResult:
        """Make the plan that scores the new network alone on these splits, and decides nothing."""
        return PlanResult(
            run_key=self.run_key,
            run_uri=self.run.folder_uri,
            dataset_uri=dataset.folder_uri,
            dataset_digest=dataset.digest,
            train=self.train,
            evaluate=evaluate,
            gate=GateOptions(),
            decision_uri=place.folder_uri,
            num_champions=0,
            model_name=model_name,
            weights=weights,
            champion=None,
            evaluations=tuple(self.evaluation(evaluate, split) for split in splits),
        )


def plan_training(
    store_uri: str,
    digest: str,
    options: TrainOptions,
    weights: WeightsResult,
    model_name: str,
    force_token: str | None = None,
    taught: Mapping[str, object] | None = None,
) -> PlannedTraining:
    """Plan the training of `options` on a dataset.

    `force_token` makes it a new run, and so do other values of `taught`: the teacher, and the clips it teaches on.
    """
    start = {"backbone": weights.backbone, "weights": weights.weights, "checkpoint": None, "backbone_weights": weights.backbone_sha256}
    train = without_idle(options).model_copy(update=start)
    members = {"members": [member.checkpoint_sha256 for member in weights.members]} if weights.members else {}
    if members:
        # Keys stand for the names, because an alias may move.
        train = fused(options, list(dict.fromkeys(run_name(member.run_key) for member in weights.members)))
    run_key = content_key(
        {
            **members,
            **(taught or {}),
            "dataset": digest,
            "train": options_key(train),
            "model_name": model_name,
            "weights": weights.sha256,
            "code": load(MachineSettings).code_version,
            "force": force_token,
        }
    )
    return PlannedTraining(train, run_key, Layout(store_uri).run(run_key))


def repeats_of(options: TrainOptions, num_seeds: int | None = None) -> tuple[TrainOptions, ...]:
    """List the options of the further trainings of a recipe, each with the next seed.

    There are none where a seed changes nothing: of averaged logits, and of a probe whose views stay the same.

    Args:
        options: of the first training.
        num_seeds: number of trainings with the first; None chooses `CHEAP_SEEDS` or 1.
    """
    is_probe = options.head is Head.PROBE
    if (options.fuse and options.join == "logits") or (is_probe and (shows_one_view(options) or options.views_seed is not None)):
        return ()
    is_cheap = options.trainable == "heads" and not is_probe and not options.is_long
    return tuple(with_next_seed(options, number) for number in range(1, num_seeds or (CHEAP_SEEDS if is_cheap else 1)))


def with_next_seed(options: TrainOptions, number: int) -> TrainOptions:
    """Return the options of the same training with the seed that comes `number` later.

    Heads keep their views, or the backbone would see every clip again. Of a probe, views are all that a seed draws.
    """
    keeps_views = options.trainable == "heads" and options.head is not Head.PROBE and options.views_seed is None
    kept = {"views_seed": options.seed} if keeps_views else {}
    return options.model_copy(update=kept | {"seed": (options.seed + number) % 2**31})


def find_recipe(name: RecipeName, store_uri: str, store: Store) -> Recipe:
    """Find a recipe of the code or of the store.

    Raises:
        BadConfiguration: there is none of this name; the message has the nearest, and all.
    """
    if name in PURPOSES:
        return Recipe(options=PRESETS.get(name, TrainOptions()), description=PURPOSES[name])
    if store.exists((place := Layout(store_uri).stored_recipe(name)).uri):
        return store.read(place)
    known = recipe_names(store_uri, store)
    near = "".join(f"did you mean {other}? " for other in get_close_matches(name, known, n=1))
    raise BadConfiguration(f"{store_uri} has no recipe {name}; {near}There are {', '.join(known)}")


def recipe_names(store_uri: str, store: Store) -> list[str]:
    """List the names of all recipes: those of the code first."""
    return [*PURPOSES, *sorted(listed.name.removesuffix(".json") for listed in store.list(Layout(store_uri).recipes))]


def recipe_for(
    preset: RecipeName,
    given: TrainOptions,
    num_clips: int,
    store_uri: str,
    store: Store,
    **about: Any,  # noqa: ANN401 - see below
) -> tuple[TrainOptions, str]:
    """Find the training options of a recipe together with those given.

    The result has a line that names the recipe, which is empty for `none`.

    Args:
        given: the options of the form.
        num_clips: number of training clips.
        about: further arguments of `choose_recipe`.

    Raises:
        BadConfiguration: there is no such recipe, or the options do not fit it, or one another.
    """
    if preset == "none":
        return given, ""
    values = given.model_dump(mode="json")
    try:
        if preset == "auto":
            return choose_recipe(values, has_gpu=trains_on_gpu(), num_clips=num_clips, **about)
        recipe = find_recipe(preset, store_uri, store).options
        recipe.require_current(f"recipe {preset}")
        options = TrainOptions.model_validate(with_recipe(recipe, values))
        sets, own = in_words(recipe, TrainOptions()), in_words(options, recipe)
        return options, f"recipe {preset}, which sets {sets or 'nothing'}{own and f'; with {own}'}"
    except ValidationError as error:
        reasons = "; ".join(f"{name}: {reason}" if name else reason for name, reason in refusals(error, TrainOptions))
        raise BadConfiguration(f"preset {preset}: {reasons}; or set preset to none") from None


def in_words(options: TrainOptions, others: TrainOptions) -> str:
    """Write the options that differ from others, without secrets."""
    theirs = others.model_dump(mode="json")
    return without_secrets(
        ", ".join(f"{name}={value}" for name, value in options.model_dump(mode="json").items() if value != theirs.get(name))
    )


def is_trained(name: str) -> bool:
    """Check whether this names a trained network rather than a file."""
    return bool(MODEL.fullmatch(name) or parse_run(name))


def require_no_secrets(*values: str | None) -> None:
    """Raise BadConfiguration for addresses with secrets, which tables would show."""
    for value in filter(None, values):
        if without_secrets(value) != value:
            raise BadConfiguration(
                f"{value}: tables, pages and MLflow would show the password or signature of this address; put the file into the store and name it as s3://…"
            )


def find_dataset(store: Store, store_uri: str, dataset: str | None) -> Dataset:
    """Find this dataset, or the latest; raise NothingToDo if there is none yet."""
    if dataset:
        return Dataset.at(dataset)
    try:
        latest = store.read(Layout(store_uri).latest_dataset)
    except MissingObject:
        raise NothingToDo(f"there is no dataset in {store_uri} yet; run ingest_videos and build_dataset first") from None
    return Dataset(latest.dataset_uri)


def run_of(version: RegisteredVersion, store_uri: str) -> Run:
    """Find a version's training, in the store that has its checkpoint, else in this one."""
    return run_beside(version.checkpoint_uri, version.run_key, store_uri)


def plans_of(run: Run, store: Store) -> tuple[PlanResult, ...]:
    """List the plans of this training, the latest first; skip unreadable ones with a warning."""
    return _plans_under(run.decisions, store)


def plans_with_repeats(plan: PlanResult, store: Store) -> tuple[PlanResult, ...]:
    """List this plan and those of the recipe's further seeds."""
    return (plan, *(store.read(Output(repeat.plan_uri, PlanResult)) for repeat in plan.repeats))


def latest_plan(run: Run, store: Store) -> PlanResult | None:
    """Find the latest plan of this training, of a decision or else of a comparison."""
    plans = plans_of(run, store) or _plans_under(run.comparisons, store)
    return plans[0] if plans else None


def _plans_under(folder_uri: str, store: Store) -> tuple[PlanResult, ...]:
    listed = [o for o in store.list(folder_uri) if deciding(o.uri, "plan")]
    plans = []
    for stored in sorted(listed, key=lambda o: (o.modified, o.uri), reverse=True):
        try:
            plans.append(store.read(stored.uri, PlanResult))
        except BadInput as error:
            log.warning("%s", error)
    return tuple(plans)


def no_curve_reason(plan: PlanResult) -> str:
    """Say why a training has no learning curve; empty if it has."""
    if plan.weights.members and plan.train.join == "logits":
        return "a fusion of trained networks is not trained"
    if plan.weights.members or plan.weights.weights is Weights.TRAINED:
        return "the training starts from a trained network, which may know all of these clips already, so a share of them would not show what the others add"
    return ""


def flow_of(train: TrainOptions) -> FlowOptions | None:
    return train.picked(FlowOptions) if train.modality is Modality.FLOW else None


def flows_of(plan: PlanResult) -> tuple[FlowOptions, ...]:
    """List the flow options of the planned network, or of a fusion's members, each once."""
    return different([member.flow for member in plan.weights.members] or [flow_of(plan.train)])


def different(flows: Iterable[FlowOptions | None]) -> tuple[FlowOptions, ...]:
    """List flow options by their recipes, each once; drop None."""
    return tuple({flow_recipe_of(options): options for options in flows if options}.values())


def sound_of(network: TrainOptions | NetworkSpec) -> str | None:
    """Return the name of the features of sound that a network hears, if any."""
    return network.backbone if network.modality.is_heard else None


def sounds_of(plan: PlanResult) -> tuple[str, ...]:
    """List the sound features of the planned network, or of a fusion's members, each once."""
    names = [member.sound for member in plan.weights.members] or [sound_of(plan.train)]
    return tuple(dict.fromkeys(name for name in names if name))
