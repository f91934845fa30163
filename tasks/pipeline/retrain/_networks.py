"""Find the networks that a run is about, and the clips that they see."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.data.clips.stored_clips import StoredClip, find_cut
from tasks.errors import BadConfiguration, BadInput
from tasks.options import FlowOptions, TrainOptions
from tasks.options.base import STORED
from tasks.pipeline._plans import different, flow_of, flows_of, latest_plan, sound_of, sounds_of
from tasks.pipeline._results import log
from tasks.pipeline._trained import find_trained
from tasks.pipeline.retrain.contract import NetworksArguments
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.records.prediction import PredictionBatch, PredictPlanResult
from tasks.store.records.training import PlanResult
from tasks.store.records.video import ClipRecord
from tasks.store.run_layout import Configurations
from tasks.store.stored import Output


@dataclass(frozen=True)
class Needs:
    """The inputs that networks need besides frames; `clips` lists the clips that they see."""

    flows: tuple[FlowOptions, ...]
    hears: bool
    clips: Callable[[], Sequence[StoredClip]]

    @property
    def inputs(self) -> tuple[Literal["flow", "sound"], ...]:
        """Name the inputs, for a plan."""
        return (*(("flow",) if self.flows else ()), *(("sound",) if self.hears else ()))


def needs_of(arguments: NetworksArguments, store: Store) -> Needs:
    """Find the inputs that the networks of a training, a comparison or a prediction need."""
    if arguments.plan:
        return needs_of_plan(store.read(Output(arguments.plan, PlanResult)), store)
    if arguments.configured:
        configured = store.read(Configurations(arguments.configured))
        trains = [TrainOptions.model_validate_json(configuration.options, context=STORED) for configuration in configured.configurations]
        members = [plan for train in trains for plan in _members(train, arguments.store, store)]
        # The other options of a fusion say nothing of its members.
        trains = [train for train in trains if not train.fuse]
        return Needs(
            different([*map(flow_of, trains), *(flow for plan in members for flow in flows_of(plan))]),
            any(map(sound_of, trains)) or any(map(sounds_of, members)),
            lambda: _dataset_clips(configured.dataset_uri, store),
        )
    assert arguments.prediction is not None  # noqa: S101 - the arguments name exactly one of the three
    prediction = store.read(Output(arguments.prediction, PredictPlanResult))
    predictors = prediction.predictors.values()
    return Needs(
        different(options for predictor in predictors for options in predictor.flows),
        any(predictor.sounds for predictor in predictors),
        lambda: _cut_clips(prediction, store),
    )


def needs_of_plan(plan: PlanResult, store: Store) -> Needs:
    """Find the inputs that a training's network and its opponents need."""
    opponents = list(filter(None, (plan.champion, plan.previous)))
    return Needs(
        different([*flows_of(plan), *(flow for opponent in opponents for flow in opponent.flows)]),
        bool(sounds_of(plan)) or any(opponent.sounds for opponent in opponents),
        lambda: _dataset_clips(plan.dataset_uri, store),
    )


def _members(train: TrainOptions, store_uri: str, store: Store) -> Iterator[PlanResult]:
    """Yield the known plans of the networks that are to be fused."""
    for name in train.fuse:
        try:
            run = Layout(store_uri).run(find_trained("fuse", name, store_uri, store).run_key)
        except (BadInput, BadConfiguration) as error:
            log.warning("%s", error)  # `weights` fails on this line of the comparison alone
            continue
        if plan := latest_plan(run, store):
            yield plan


def _dataset_clips(dataset_uri: str, store: Store) -> Sequence[StoredClip]:
    return store.read(Dataset(dataset_uri).manifest).clips


def _cut_clips(prediction: PredictPlanResult, store: Store) -> list[ClipRecord]:
    """List the clips of every video that was cut; `predict` says why others were not."""
    clips: list[ClipRecord] = []
    for batch in prediction.batches:
        for video in store.read(batch.uri, PredictionBatch).videos:
            if cut := find_cut(store, prediction.store, video.video, prediction.segment):
                clips += cut.clips
            else:
                log.warning("%s: was not cut", video.name)
    return clips
