"""Read and write the rounds of a search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.errors import MissingObject
from tasks.results.dataset import DatasetClip, Manifest
from tasks.results.record import Target
from tasks.results.search import ScoredTrial, SearchPlanResult, SuggestResult, Trial, TrialBatch, TrialBatchRef, TrialScore, Value
from tasks.search.lengths import clip_seconds_of
from tasks.search.rounds import batches_of
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.runs import Run
from tasks.store.searches import SearchPlan, SearchRound
from tasks.store.stored import Stored

NO_REASON = "it left no result; the log of its task says why"


def trials_before(round_number: int, place: SearchPlan, store: Store) -> tuple[ScoredTrial, ...]:
    """Read the trials of all rounds before this one."""
    return store.read(place.round(round_number - 1).gather).trials if round_number > 1 else ()


def all_trials(plan: SearchPlanResult, store: Store) -> tuple[ScoredTrial, ...]:
    """Read the trials of all rounds.

    Raises:
        MissingObject: no round is finished.
    """
    place = SearchPlan(plan.search_uri)
    for number in range(plan.search.rounds, 0, -1):
        if store.exists(place.round(number).gather.uri):
            return store.read(place.round(number).gather).trials
    raise MissingObject(f"{plan.search_uri} has no finished round; run `gather` first")


def trained_seeds(plan: SearchPlanResult, store: Store) -> tuple[ScoredTrial, ...]:
    """Read the trials of the winner under new seeds, as far as they are finished."""
    seeds = SearchPlan(plan.search_uri).seeds
    if not store.exists(seeds.suggest.uri):
        return ()
    return tuple(trials_of_round(seeds, {}, store))


def trials_of_round(place: SearchRound, reasons: Mapping[int, str], store: Store) -> list[ScoredTrial]:
    """Read the trials of a round, by number.

    A trial without a result failed, for the reason of its batch.
    """
    found = []
    for index in range(len(store.read(place.suggest).batches)):
        trained, batch = place.trials(index), store.read(place.batch(index))
        for trial in batch.trials:
            stored = trained.trial(trial.number)
            failed = ScoredTrial(
                number=trial.number, round=batch.round, values=trial.values, options=trial.options, failure=reasons.get(index, NO_REASON)
            )
            found.append(store.read(stored) if store.exists(stored.uri) else failed)
    return sorted(found, key=lambda trial: trial.number)


def write_round(place: SearchRound, number: int, trials: Sequence[Trial], store: Store) -> SuggestResult:
    """Write the trials of a round in batches of one task each."""
    refs = []
    for index, batch in enumerate(batches_of(trials)):
        stored = place.batch(index)
        store.write(stored, TrialBatch(round=number, trials=batch))
        first, last = batch[0].number, batch[-1].number
        refs.append(TrialBatchRef(uri=stored.uri, name=f"trial {first}" if first == last else f"trials {first} to {last}"))
    return SuggestResult(round=number, batches=tuple(refs))


def has_other_length(values: Mapping[str, Value], plan: SearchPlanResult) -> bool:
    """Check whether the clips of a trial have another length than those that it is scored on."""
    return clip_seconds_of(values, plan) != plan.clip_seconds


def score_at(run: Run, values: Mapping[str, Value], fold: int, plan: SearchPlanResult) -> Stored[TrialScore]:
    """Find the score of a trial's training on one fold."""
    crops = plan.evaluate.crops
    return run.validation_on(Dataset(plan.fold_uris[fold]).digest, crops) if has_other_length(values, plan) else run.validation(crops)


def scores_of(trial: ScoredTrial, plan: SearchPlanResult, store: Store) -> list[TrialScore]:
    """Read the scores of a finished trial, one per fold."""
    layout = Layout(SearchPlan(plan.search_uri).store_uri)
    return [store.read(score_at(layout.run(key), trial.values, fold, plan)) for fold, key in enumerate(trial.run_keys)]


@dataclass(frozen=True)
class Data:
    """The datasets of a search, one per fold.

    Their manifests, and the clips that trials are scored on.
    """

    manifests: tuple[Manifest, ...]

    @classmethod
    def of(cls, plan: SearchPlanResult, store: Store) -> "Data":
        """Read the manifests."""
        return cls(tuple(store.read(Dataset(uri).manifest) for uri in plan.fold_uris))

    @property
    def clips(self) -> list[list[DatasetClip]]:
        """Return the validation clips of each fold."""
        return [[clip for clip in manifest.clips if clip.split == "val"] for manifest in self.manifests]

    @property
    def target(self) -> Target:
        """Return the deciding target."""
        return self.manifests[0].vocabulary.targets[-1]
