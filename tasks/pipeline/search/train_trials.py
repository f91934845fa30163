"""Train and score a batch of trials, one training per fold."""

import tempfile
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from tasks.data.clips.frame_cache import cache_test_frames, cache_train_frames
from tasks.errors import BadConfiguration, BadInput
from tasks.judge.gate.error_budget import record_look
from tasks.judge.search.results import scored, values_in_words
from tasks.judge.search.suggest import START_OPTIONS
from tasks.keys import content_key, without_later
from tasks.learn.gpus import keep_to_one_gpu
from tasks.learn.hardware import choose_device, describe, keep_freed_memory
from tasks.learn.inputs.data import CachedClip
from tasks.learn.networks.checkpoints import Saved
from tasks.learn.networks.network import Network, widen_heads
from tasks.learn.networks.spec import ClassNames, trained_names
from tasks.learn.training.costs import clip_seconds
from tasks.learn.training.epochs import LAST, with_last_weights
from tasks.learn.training.job import TrainJob
from tasks.learn.training.trials import TrialFailure, TrialJob, TrialOutcome, run_trials, score_network
from tasks.options import TrainOptions
from tasks.pipeline._checkpoints import fetch_network
from tasks.pipeline._plans import PlannedTraining, plan_training
from tasks.pipeline._results import earlier_result, finish, log
from tasks.pipeline._training import epoch_of, logged_epochs, train_planned, with_classes
from tasks.pipeline._weights import find_weights
from tasks.pipeline.search._rounds import Data, require_current
from tasks.pipeline.search.contract import TRAIN_TRIALS, TrainTrialsArguments
from tasks.settings import MachineSettings, MlflowSettings, load
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.records.record import Target
from tasks.store.records.search import NetworkLatency, ScoredTrial, SearchPlanResult, Trial, TrialBatch, TrialScore, TrialsResult
from tasks.store.records.training import Epoch, TrainResult, WeightsResult
from tasks.store.run_layout import Run, SearchPlan, TrainedTrials
from tasks.tracking import Tracker
from tasks.wording import duration, percent

TRIAL_FAILS = (BadConfiguration, BadInput)
"""Errors that fail one trial. Any other, such as an unreachable store, ends the task, whose retry continues with the rest."""


def run(arguments: TrainTrialsArguments, store: Store) -> TrialsResult:
    """Train the trials that no DAG has trained yet.

    A trial that cannot be trained is recorded as failed; the others continue. It is tried again when this step runs again.

    Raises:
        BadConfiguration: the search was planned with options that are gone.
        Unavailable: the store, MLflow or the weights are not there for now; finished trials are not repeated.
    """
    place = TRAIN_TRIALS.address(arguments)
    earlier = earlier_result(store, place)
    if earlier and not earlier.num_failed:
        return earlier
    plan, batch = store.read(SearchPlan(arguments.search)), store.read(arguments.batch, TrialBatch)
    require_current(plan)
    train_batch(plan, batch, place, store)
    trials = [store.read(place.trial(trial.number)) for trial in batch.trials]
    _record_looks(plan, trials, arguments.store, store)
    return finish(store, place, TrialsResult(num_trials=len(trials), num_failed=sum(trial.failure is not None for trial in trials)))


def _record_looks(plan: SearchPlanResult, trials: Sequence[ScoredTrial], store_uri: str, store: Store) -> None:
    """Record the clips that trials were scored on: val, or those that folds left out."""
    for fold, clips in enumerate(Data.of(plan, store).clips):
        record_look(
            store,
            store_uri,
            "trial",
            [clip.uid for clip in clips],
            [trial.run_keys[fold] for trial in trials if trial.run_keys],
            made_by=plan.search_uri,
            model_name=plan.model_name,
            split="train" if plan.search.folds else "val",
        )


@dataclass(frozen=True)
class FoldTraining:
    """The training of a trial on one fold, or on the whole dataset."""

    trial: Trial
    fold: int
    dataset_uri: str
    weights: WeightsResult
    training: PlannedTraining

    @property
    def run(self) -> Run:
        """Return its place in the store."""
        return self.training.run

    @property
    def options(self) -> TrainOptions:
        """Return its options, as `retrain` would plan them."""
        return self.training.train


class FoldTrainings:
    """Plan and run the trainings of trials, which share networks, frames and data."""

    def __init__(self, plan: SearchPlanResult, store: Store, folder: Path) -> None:
        self.plan = plan
        self.place = SearchPlan(plan.search_uri)
        self.store = store
        self.folder = folder
        self.data = Data.of(plan, store)
        self.machine = load(MachineSettings)
        self._saved: dict[str, Saved] = {}
        self._networks: dict[tuple[str, int, int, int], Network] = {}
        self._frames: dict[tuple[object, ...], dict[str, Path]] = {}
        self._manifests = dict(zip(plan.fold_uris, self.data.manifests, strict=True))

    def of(self, trial: Trial) -> list[FoldTraining]:
        """Plan a trial's trainings, one per fold, under `retrain`'s run keys; raises as `weights`."""
        weights = self._weights(trial.options)
        return [
            FoldTraining(
                trial,
                fold,
                uri,
                weights,
                plan_training(self.place.store_uri, Dataset(uri).digest, trial.options, weights, self.plan.model_name),
            )
            for fold, uri in enumerate(self.plan.fold_uris)
        ]

    def score_of(self, part: FoldTraining) -> TrialScore | None:
        """Read the score of a training, if it has one."""
        stored = part.run.validation(self.plan.evaluate.crops)
        return self.store.read(stored) if self.store.exists(stored.uri) else None

    def find_score(self, part: FoldTraining) -> TrialScore | None:
        """Find the score of a training; score the last epoch if another DAG trained it."""
        if score := self.score_of(part):
            return score
        if not self.store.exists(part.run.train.uri):
            return None
        log.info("trial %d: found trained, %s", part.trial.number, part.run.folder_uri)
        return self._score_last(part, self.store.read(part.run.train))

    def claim(self, part: FoldTraining) -> None:
        """Mark a training as this search's before it begins, for later tries that find it."""
        self.store.create_bytes(self.place.claim(part.training.run_key), b"trained by this search\n")

    def is_own(self, part: FoldTraining) -> bool:
        """Check whether this search trains it, rather than finding it trained."""
        return self.store.exists(self.place.claim(part.training.run_key))

    def train_network(self, part: FoldTraining) -> TrialScore:
        """Train as the step `train` does, and score the last epoch."""
        place = part.run.comparison(self.plan.key)
        plan = part.training.without_decision(Dataset(part.dataset_uri), part.weights, self.plan.evaluate, place, self.plan.model_name, ())
        trained = train_planned(plan, part.run.train, self.store, devices=1)
        score = self._score_last(part, trained)
        Tracker(load(MlflowSettings)).finish(trained.mlflow_run_id)
        return score

    def head_job(self, part: FoldTraining) -> TrialJob:
        """Describe the training of heads on cached features."""
        job = TrainJob(
            network=self._network(part),
            classes=self._classes(part),
            train=self._cached(part, "train"),
            val=self._cached(part, "val"),
            options=part.options,
            folder=self.folder / f"{part.trial.number}-{part.fold}",
            device=self.machine.device,
            features=self.machine.cache_dir / "features",
        )
        return TrialJob(job, self.plan.evaluate.crops)

    def keep_heads(self, part: FoldTraining, outcome: TrialOutcome) -> None:
        """Write the score of trained heads."""
        epochs = tuple(epoch_of(record) for record in outcome.history)
        self._keep(
            part, logged_epochs(epochs, len(epochs) - 1), sum(record.seconds for record in outcome.history), outcome.loss, outcome.right
        )

    def latency_seconds(self, part: FoldTraining) -> float | None:
        """Measure the network's median seconds for a clip, if latency is an objective.

        A network is measured once per search.
        """
        if self.plan.search.objectives == "accuracy":
            return None
        network = self._network(part)
        stored = self.place.latency(content_key(network.spec.model_dump(mode="json", exclude={"sampling_window", "interpolation"})))
        if not self.store.exists(stored.uri):
            measured = clip_seconds(deepcopy(network), self.plan.evaluate.crops, self.machine.device)
            self.store.create(stored, NetworkLatency(seconds=measured, device=describe(choose_device(self.machine.device)).device_name))
        return self.store.read(stored).seconds

    def _weights(self, options: TrainOptions) -> WeightsResult:
        """Find the weights that trainings of this network start from, once per search."""
        chosen = options.model_dump(mode="json", include=START_OPTIONS)
        output = self.place.weights(content_key(without_later(chosen, TrainOptions)))
        if self.store.exists(output.uri):
            return self.store.read(output)
        return finish(self.store, output, find_weights(options, self.place.store_uri, self.store))

    def _network(self, part: FoldTraining) -> Network:
        """Build the network with outputs for all classes; trainings must not change it."""
        words = self._manifests[part.dataset_uri].vocabulary
        key = (part.weights.sha256, part.options.seed, words.num_verbs, words.num_nouns)
        if key not in self._networks:
            self._networks[key] = widen_heads(self._start(part).network, words.num_verbs, words.num_nouns, part.options.seed)
        return self._networks[key]

    def _start(self, part: FoldTraining) -> Saved:
        sha256 = part.weights.sha256
        if sha256 not in self._saved:
            self._saved[sha256] = fetch_network(self.store, part.weights.uri, sha256)
        return self._saved[sha256]

    def _classes(self, part: FoldTraining) -> ClassNames:
        return trained_names(self._manifests[part.dataset_uri].vocabulary, self._start(part).classes, self._network(part).spec)

    def _score_last(self, part: FoldTraining, trained: TrainResult) -> TrialScore:
        with tempfile.TemporaryDirectory(prefix="retake-last-") as folder:
            self.store.read_file(part.run.train.last, Path(folder) / LAST)
            network = with_last_weights(self._network(part), Path(folder) / LAST)
        loss, right = score_network(network, self._classes(part), self._cached(part, "val"), self.plan.evaluate.crops, self.machine.device)
        return self._keep(part, trained.epochs, trained.seconds, loss, right)

    def _keep(self, part: FoldTraining, epochs: tuple[Epoch, ...], seconds: float, loss: float, right: dict[Target, str]) -> TrialScore:
        score = TrialScore(run_key=part.training.run_key, epochs=epochs, seconds=round(seconds, 3), loss=loss, right=right)
        self.store.write(part.run.validation(self.plan.evaluate.crops), score)
        return score

    def _cached(self, part: FoldTraining, split: Literal["train", "val"]) -> list[CachedClip]:
        """Pair the clips of a split that have frames with their classes."""
        clips = [clip for clip in self._manifests[part.dataset_uri].clips if clip.split == split]
        spec, options = self._network(part).spec, part.options
        key = (part.dataset_uri, split, spec.model_dump_json(), options.frame_step, options.train_frames)
        if key not in self._frames:
            self._frames[key] = (
                cache_train_frames(self.store, clips, spec, options) if split == "train" else cache_test_frames(self.store, clips, spec)
            )
        return with_classes(clips, self._frames[key])


@dataclass(frozen=True)
class Scorecard:
    """The trials of a batch, written as soon as all of their trainings are scored."""

    batch: TrialBatch
    place: TrainedTrials
    parts: FoldTrainings
    left: set[int]
    """Numbers of the trials without a result."""
    durations_seconds: list[float] = field(default_factory=list)

    def conclude(self, trial: Trial, parts: Sequence[FoldTraining]) -> None:
        """Write the trial if all of its trainings are scored."""
        scores = [self.parts.score_of(part) for part in parts]
        known = [score for score in scores if score is not None]
        if len(known) < len(scores):
            return
        own = [self.parts.is_own(part) for part in parts]
        blank = self._blank(trial, was_found=not any(own), latency_seconds=self.parts.latency_seconds(parts[0]))
        done = scored(blank, known, self.parts.data.clips, self.parts.data.target)
        if any(own):
            own_seconds = sum(score.seconds for score, mine in zip(known, own, strict=True) if mine)
            done = done.model_copy(update={"seconds": round(own_seconds, 3)})
        self.parts.store.write(self.place.trial(trial.number), done)
        self._report(done)

    def fail(self, trial: Trial, reason: str) -> None:
        """Write that the trial failed."""
        self.left.discard(trial.number)
        self.parts.store.write(self.place.trial(trial.number), self._blank(trial, failure=reason))
        log.warning("trial %d failed: %s", trial.number, reason)

    def _blank(self, trial: Trial, **fields: object) -> ScoredTrial:
        return ScoredTrial.model_validate(
            {"number": trial.number, "round": self.batch.round, "values": trial.values, "options": trial.options, **fields}
        )

    def _report(self, done: ScoredTrial) -> None:
        self.left.discard(done.number)
        num_left = len(self.left)
        self.durations_seconds.append(done.seconds)
        left = sum(self.durations_seconds) / len(self.durations_seconds) * num_left
        target = self.parts.data.target
        log.info(
            "trial %d, %d of %d: %s top-1 %s with %s; about %s of training left",
            done.number,
            len(self.batch.trials) - num_left,
            len(self.batch.trials),
            target,
            percent(done.scores[target].top1),
            values_in_words(done.values),
            duration(round(left)),
        )


def train_batch(plan: SearchPlanResult, batch: TrialBatch, place: TrainedTrials, store: Store) -> None:
    """Write each trial's scores or failure; raise BadConfiguration without the wanted device."""
    keep_to_one_gpu()
    keep_freed_memory()
    choose_device(load(MachineSettings).device)
    with tempfile.TemporaryDirectory(prefix="retake-trials-") as folder:
        parts = FoldTrainings(plan, store, Path(folder))
        missing = [trial for trial in batch.trials if not _is_scored(place, trial, store)]
        card = Scorecard(batch, place, parts, {trial.number for trial in missing})
        planned: dict[int, list[FoldTraining]] = {}
        for trial in missing:
            try:
                planned[trial.number] = parts.of(trial)
            except TRIAL_FAILS as error:
                card.fail(trial, str(error))
        _find_and_train(card, planned)


def _is_scored(place: TrainedTrials, trial: Trial, store: Store) -> bool:
    """Check whether a trial has a score; one that failed is tried again."""
    stored = place.trial(trial.number)
    return store.exists(stored.uri) and store.read(stored).failure is None


def _find_and_train(card: Scorecard, planned: dict[int, list[FoldTraining]]) -> None:
    """Score earlier trainings, train whole networks, then all heads, which share their features."""
    trials = {trial.number: trial for trial in card.batch.trials}
    heads: list[tuple[FoldTraining, TrialJob]] = []
    for number, parts in planned.items():
        try:
            missing = [part for part in parts if card.parts.find_score(part) is None]
            for part in missing:
                card.parts.claim(part)
            if not missing:
                card.conclude(trials[number], parts)
            elif trials[number].options.trainable == "heads":
                card.parts.latency_seconds(parts[0])  # a network that cannot be timed fails its trial alone
                heads += [(part, card.parts.head_job(part)) for part in missing]
            else:
                for part in missing:
                    card.parts.train_network(part)
                card.conclude(trials[number], parts)
        except TRIAL_FAILS as error:
            card.fail(trials[number], str(error))
    for (part, _), outcome in zip(heads, run_trials([job for _, job in heads]), strict=True):
        trial = trials[part.trial.number]
        if isinstance(outcome, TrialFailure):
            card.fail(trial, outcome.reason)
        else:
            card.parts.keep_heads(part, outcome)
            card.conclude(trial, planned[trial.number])
