"""Read and write the rounds of a search."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.errors import BadConfiguration, BadInput, MissingObject
from tasks.judge.search.results import best_first
from tasks.judge.search.suggest import Space, batches_of, history_digest
from tasks.keys import content_key
from tasks.pipeline._results import earlier_result, log
from tasks.store.derived import trials_of_batch
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetClip, Manifest
from tasks.store.records.record import Target
from tasks.store.records.search import ScoredTrial, SearchPlanResult, SuggestResult, Trial, TrialBatch, TrialBatchRef, TrialScore
from tasks.store.run_layout import SearchPlan, SearchRound
from tasks.store.stored import Output

NO_REASON = "it left no result; the log of its task says why"


def require_current(plan: SearchPlanResult) -> None:
    """Raise BadConfiguration if a search was planned with options that are gone."""
    for options in (plan.search, plan.train, plan.evaluate):
        options.require_current(plan.search_uri)
    try:
        Space.of(plan.search, plan.train)
    except BadConfiguration as error:
        raise BadConfiguration(f"{plan.search_uri} is from an earlier version: {error}; start anew without it") from None


def trials_before(round_number: int, place: SearchPlan, store: Store) -> tuple[ScoredTrial, ...]:
    """Read the trials of all earlier rounds; raise MissingObject unless they are finished."""
    finished = _finished_rounds(round_number - 1, place, store)
    if len(finished) < round_number - 1:
        raise MissingObject(f"round {len(finished) + 1} of {place.folder_uri} is not finished; run `suggest`, `train_trials` and `gather`")
    return finished[-1] if finished else ()


def all_trials(plan: SearchPlanResult, store: Store) -> tuple[ScoredTrial, ...]:
    """Read the trials of all finished rounds; raise MissingObject without any."""
    finished = _finished_rounds(plan.search.rounds, SearchPlan(plan.search_uri), store)
    if not finished:
        raise MissingObject(f"{plan.search_uri} has no finished round; run `gather` first")
    return finished[-1]


def ranked_trials(trials: Sequence[ScoredTrial], target: Target) -> list[ScoredTrial]:
    """Sort the trials that have scores, the best first; raise BadInput without any."""
    if ranked := best_first(trials, target):
        return ranked
    raise BadInput(f"every trial failed: {'; '.join(dict.fromkeys(str(trial.failure) for trial in trials))}")


def _finished_rounds(last: int, place: SearchPlan, store: Store) -> list[tuple[ScoredTrial, ...]]:
    """Read the trials up to each finished round, at most up to round `last`.

    A round that followed from other results of the rounds before it does not count, nor do those after it.
    """
    rounds: list[tuple[ScoredTrial, ...]] = []
    for number in range(1, last + 1):
        gather = place.round(number).gather
        if not store.exists(gather.uri) or store.read(gather).inputs_digest != history_digest(rounds[-1] if rounds else ()):
            break
        rounds.append(store.read(gather.trials).trials)
    return rounds


def trained_seeds(plan: SearchPlanResult, trials: Sequence[ScoredTrial], store: Store) -> tuple[ScoredTrial, ...]:
    """Read the finished trials of today's winner under new seeds."""
    seeds = SearchPlan(plan.search_uri).seeds
    if not store.exists(seeds.suggest.uri) or store.read(seeds.suggest).inputs_digest != history_digest(trials):
        return ()
    return tuple(trials_of_round(seeds, {}, store))


def trials_of_round(place: SearchRound, reasons: Mapping[int, str], store: Store) -> list[ScoredTrial]:
    """Read the trials of a round, by number; those without a result failed."""
    trials = []
    for index, ref in enumerate(store.read(place.suggest).batches):
        trained, batch = trials_of_batch(ref.uri), store.read(ref.uri, TrialBatch)
        for trial in batch.trials:
            stored = trained.trial(trial.number)
            failed = ScoredTrial(
                number=trial.number, round=batch.round, values=trial.values, options=trial.options, failure=reasons.get(index, NO_REASON)
            )
            trials.append(store.read(stored) if store.exists(stored.uri) else failed)
    return sorted(trials, key=lambda trial: trial.number)


def still_valid(output: Output[SuggestResult], inputs_digest: str, store: Store) -> SuggestResult | None:
    """Find the suggestions of an earlier run, if they follow from these results."""
    earlier = earlier_result(store, output)
    if earlier and earlier.inputs_digest != inputs_digest:
        log.info("earlier rounds have other results than before; suggesting anew")
        return None
    return earlier


def write_round(place: SearchRound, number: int, trials: Sequence[Trial], inputs_digest: str, store: Store) -> SuggestResult:
    """Write the trials of a round in batches of one task each.

    The address of a batch has a hash of its trials, so that other trials never meet their results.
    """
    refs = []
    for some in batches_of(trials):
        batch = TrialBatch(round=number, trials=some)
        stored = place.batch(content_key(batch.model_dump(mode="json")))
        store.write(stored, batch)
        first, last = some[0].number, some[-1].number
        refs.append(TrialBatchRef(uri=stored.uri, name=f"trial {first}" if first == last else f"trials {first} to {last}"))
    return SuggestResult(round=number, inputs_digest=inputs_digest, batches=tuple(refs))


def scores_of(trial: ScoredTrial, plan: SearchPlanResult, store: Store) -> list[TrialScore]:
    """Read the scores of a finished trial, one per fold."""
    layout = Layout(SearchPlan(plan.search_uri).store_uri)
    return [store.read(layout.run(key).validation(plan.evaluate.crops)) for key in trial.run_keys]


@dataclass(frozen=True)
class Data:
    """The datasets of a search, one per fold."""

    manifests: tuple[Manifest, ...]

    @classmethod
    def of(cls, plan: SearchPlanResult, store: Store) -> "Data":
        return cls(tuple(store.read(Dataset(uri).manifest) for uri in plan.fold_uris))

    @property
    def clips(self) -> list[list[DatasetClip]]:
        """Return the val clips of each fold with an action, on which trials are scored."""
        return [[clip for clip in manifest.clips if clip.split == "val" and clip.has_action] for manifest in self.manifests]

    @property
    def target(self) -> Target:
        """Return the deciding target."""
        return self.manifests[0].vocabulary.targets[-1]
