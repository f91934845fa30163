"""Train and score a batch of trials, each written as soon as it finishes."""

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import BadConfiguration, BadInput
from tasks.judge.gate.error_budget import record_look
from tasks.judge.search.results import scored, values_in_words
from tasks.learn.gpus import keep_to_one_gpu
from tasks.learn.hardware import choose_device, keep_freed_memory
from tasks.learn.training.trials import TrialFailure, TrialJob, run_trials
from tasks.pipeline._results import finish, finished, log
from tasks.pipeline.search._fold_trainings import FoldTraining, FoldTrainings
from tasks.pipeline.search._rounds import Data, require_current
from tasks.pipeline.search.contract import TRAIN_TRIALS, TrainTrialsArguments
from tasks.settings import MachineSettings, load
from tasks.store.objects import Store
from tasks.store.records.search import ScoredTrial, SearchPlanResult, Trial, TrialBatch, TrialsResult
from tasks.store.run_layout import SearchPlan, TrainedTrials
from tasks.wording import duration, percent


def run(arguments: TrainTrialsArguments, store: Store) -> TrialsResult:
    """Train the trials that no DAG has trained yet.

    A trial that cannot be trained is recorded as failed; the others continue. It is tried again when this step runs again.

    Raises:
        BadConfiguration: the search was planned with options that are gone.
        Unavailable: the store, MLflow or the weights are not there for now; finished trials are not repeated.
    """
    place = TRAIN_TRIALS.address(arguments)
    earlier = finished(store, place)
    if earlier and not earlier.num_failed:
        return earlier
    plan, batch = store.read(SearchPlan(arguments.search)), store.read(arguments.batch, TrialBatch)
    require_current(plan)
    train_batch(plan, batch, place, store)
    trials = [store.read(place.trial(trial.number)) for trial in batch.trials]
    _record_looks(plan, trials, arguments.store, store)
    return finish(store, place, TrialsResult(num_trials=len(trials), num_failed=sum(trial.failure is not None for trial in trials)))


def _record_looks(plan: SearchPlanResult, trials: Sequence[ScoredTrial], store_uri: str, store: Store) -> None:
    """Record on which clips the trials were scored: those of val, or training clips that each fold left out."""
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


TRIAL_FAILS = (BadConfiguration, BadInput)
"""Errors that fail one trial. Any other, such as an unreachable store, ends the task, whose retry continues with the rest."""


@dataclass(frozen=True)
class Scorecard:
    """The trials of a batch, written as soon as all of their trainings are scored."""

    plan: SearchPlanResult
    batch: TrialBatch
    place: TrainedTrials
    parts: FoldTrainings
    store: Store
    left: set[int]
    """Numbers of the trials without a result."""
    durations_seconds: list[float]

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
        self.store.write(self.place.trial(trial.number), done)
        self._report(done)

    def fail(self, trial: Trial, reason: str) -> None:
        """Write that the trial failed."""
        self.left.discard(trial.number)
        self.store.write(self.place.trial(trial.number), self._blank(trial, failure=reason))
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
    """Write each trial of the batch: its scores, or the reason of its failure.

    Raises:
        BadConfiguration: this machine lacks the device that its settings ask for.
    """
    keep_to_one_gpu()
    keep_freed_memory()
    choose_device(load(MachineSettings).device)
    with tempfile.TemporaryDirectory(prefix="retake-trials-") as folder:
        parts = FoldTrainings(plan, store, Path(folder))
        missing = [trial for trial in batch.trials if not _is_scored(place, trial, store)]
        card = Scorecard(plan, batch, place, parts, store, {trial.number for trial in missing}, [])
        planned: dict[int, list[FoldTraining]] = {}
        for trial in missing:
            try:
                planned[trial.number] = parts.of(trial)
            except TRIAL_FAILS as error:
                card.fail(trial, str(error))
        _find_and_train(card, planned)


def _is_scored(place: TrainedTrials, trial: Trial, store: Store) -> bool:
    """Check whether a trial has a score; one that failed is tried again, because its cause may have passed."""
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
