"""Score a baseline that always predicts the most frequent class."""

from dataclasses import dataclass

from tasks.store.records.dataset import NO_OBJECT
from tasks.store.records.evaluation import TargetMetrics
from tasks.wording import quoted

NUM_GUESSES = 5


@dataclass(frozen=True)
class MajorityScores:
    """Scores of always ranking the classes by frequency, in the order of the tables' columns."""

    top1: float
    top5: float
    precision_weighted: float
    recall_weighted: float
    precision_macro: float
    recall_macro: float


def majority_scores(metrics: TargetMetrics) -> MajorityScores:
    """Compute the majority scores of the split of `metrics`, from its labels alone."""
    share = metrics.majority_top1
    most_frequent = sorted((c.support for c in metrics.classes), reverse=True)[:NUM_GUESSES]
    return MajorityScores(
        top1=share,
        top5=sum(most_frequent) / metrics.num_clips,
        precision_weighted=share * share,
        recall_weighted=share,
        precision_macro=share / metrics.num_classes,
        recall_macro=1 / metrics.num_classes,
    )


def always_predicting(class_name: str) -> str:
    """Name the baseline, such as `always predicting 'put meat'`.

    For the noun `(none)`, it is `always predicting no object`.
    """
    return f"always predicting {in_quotes(class_name)}"


def in_quotes(class_name: str) -> str:
    """Name a class in a sentence: `'meat'`, or `no object` for the noun `(none)`."""
    return readable(class_name) if class_name == NO_OBJECT else quoted(class_name)


def readable(class_name: str) -> str:
    """Name a class in a table: `meat`, or `no object` for the noun `(none)`."""
    return "no object" if class_name == NO_OBJECT else class_name
