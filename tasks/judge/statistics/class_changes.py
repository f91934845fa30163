"""Report how fine-tuning changed each class."""

from collections.abc import Iterator

from tasks.errors import BadInput
from tasks.store.records.evaluation import EvaluateResult, TargetMetrics
from tasks.store.records.metrics import ClassChange
from tasks.store.records.record import Target


def class_changes(ours: EvaluateResult, theirs: EvaluateResult) -> tuple[ClassChange, ...]:
    """Compare precision, recall and F1 of each class between two networks.

    Ordered by target (verb, noun, action), then the most frequent class first.

    Args:
        ours: the fine-tuned network's scores.
        theirs: the opponent's scores on the same clips.

    Raises:
        BadInput: the two networks were scored on clips of different classes.
    """
    return tuple(change for target in ours.targets for change in _changes_of(target, getattr(ours, target), getattr(theirs, target)))


def _changes_of(target: Target, ours: TargetMetrics, theirs: TargetMetrics) -> Iterator[ClassChange]:
    if [(c.name, c.support) for c in ours.classes] != [(c.name, c.support) for c in theirs.classes]:
        raise BadInput(f"the networks were scored on clips of different {target}s; run `evaluate` again for both on the same dataset")
    for after, before in zip(ours.classes, theirs.classes, strict=True):
        yield ClassChange(
            target=target,
            name=after.name,
            support=after.support,
            recall_before=before.recall,
            recall_after=after.recall,
            precision_before=before.precision,
            precision_after=after.precision,
            f1_before=before.f1,
            f1_after=after.f1,
            is_worse=after.f1 < before.f1,
        )
