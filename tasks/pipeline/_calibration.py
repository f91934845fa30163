"""Fit temperatures, and thresholds of intervals, on the val scores of a training's decisions."""

from collections.abc import Sequence

from tasks.errors import BadInput, MissingObject
from tasks.judge.statistics.answers import from_parquet
from tasks.pipeline._results import log
from tasks.predict.probabilities import NO_THRESHOLD, Nothing, Served, Threshold, fit_threshold, not_calibrated, served, without_threshold
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.records.record import ModelRole
from tasks.store.records.training import PlanResult
from tasks.store.run_layout import Scores

Fitted = tuple[Served, Threshold]
Pairs = tuple[tuple[int, int], ...]


def fitted(plans: Sequence[PlanResult], role: ModelRole, crops: int, store: Store, precision: float | None, pairs: Pairs = ()) -> Fitted:
    """Fit temperatures, and with `precision` a threshold, on the latest val scores.

    The scores are at this number of crops if possible, else at another, which is named.
    """
    candidates = [(plan, e.out) for plan in plans for e in plan.evaluations if (e.model, e.split) == (role, "val")]
    unreadable: list[str] = []
    for plan, out in sorted(candidates, key=lambda candidate: candidate[0].evaluate.crops != crops):
        try:
            result = store.read(Scores(out))
            val = from_parquet(store.read_bytes(result.predictions_uri), result.predictions_uri)
        except MissingObject:
            continue
        except BadInput as error:
            log.warning("%s", error)
            unreadable.append(str(error))
            continue
        temperatures = served(val, result.crops, result.engine.label, result.targets)
        if precision is None:
            return temperatures, NO_THRESHOLD
        nothing = _nothing(plan, store)
        return temperatures, fit_threshold(val, temperatures, precision, result.targets, crops=result.crops, nothing=nothing, pairs=pairs)
    reason = unreadable[0] if unreadable else "no answers on val clips are in the store"
    return not_calibrated(reason), NO_THRESHOLD if precision is None else without_threshold(reason)


def _nothing(plan: PlanResult, store: Store) -> Nothing | None:
    """Find how a dataset says that nothing happens; None if it is gone or silent."""
    place = Dataset(plan.dataset_uri).manifest
    if not store.exists(place.uri):
        return None
    manifest = store.read(place)
    verb = manifest.vocabulary.nothing_verb
    return None if verb is None else Nothing(verb, manifest.segment.clip_seconds)
