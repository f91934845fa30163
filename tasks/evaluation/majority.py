"""What always guessing the commonest class would score."""

from dataclasses import dataclass

from tasks.results.evaluation import TargetMetrics

NUM_GUESSES = 5


@dataclass(frozen=True)
class MajorityScores:
    """The scores of one who gives the commonest class first, the second commonest next and so on; in the order of the tables' columns."""

    top1: float
    top5: float
    precision_weighted: float
    recall_weighted: float
    precision_macro: float
    recall_macro: float


def majority_scores(metrics: TargetMetrics) -> MajorityScores:
    """Of the split that a network's `metrics` are of: they follow from the labels alone."""
    share = metrics.majority_top1
    commonest = sorted((c.support for c in metrics.classes), reverse=True)[:NUM_GUESSES]
    return MajorityScores(
        top1=share,
        top5=sum(commonest) / metrics.num_clips,
        precision_weighted=share * share,
        recall_weighted=share,
        precision_macro=share / metrics.num_classes,
        recall_macro=1 / metrics.num_classes,
    )
