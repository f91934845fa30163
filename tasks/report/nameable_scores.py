"""Compare scores on all clips with scores on clips that every network can name."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.evaluation.nameable import nameable_in_words, unnamed_in_words
from tasks.report.page_scores import TargetTable, deciding_results, label_of
from tasks.results.evaluation import NetworkScore, PairedDifference, TargetMetrics
from tasks.results.metrics import Metrics
from tasks.wording import percent, percent_interval, signed


@dataclass(frozen=True)
class NameableCell:
    """Top-1, or a difference in points, of one target: on all clips, and with its interval on the clips that every network can name."""

    of_all: str
    of_nameable: str
    interval: str


@dataclass(frozen=True)
class NameableRow:
    """One network, or the fine-tuned network minus an opponent, with a cell per target."""

    label: str
    cells: tuple[NameableCell, ...]


def unnamed_of(metrics: Metrics) -> str:
    """Describe the clips whose classes some network cannot name; empty if there are none."""
    found = metrics.nameable
    return f"{unnamed_in_words(found)} {nameable_in_words(found)}" if found else ""


def nameable_rows(metrics: Metrics, tables: Sequence[TargetTable]) -> tuple[NameableRow, ...]:
    """Build the rows; none if every network can name every clip, or if no such clip is left."""
    found = metrics.nameable
    if found is None or not found.num_clips:
        return ()
    targets = [table.target for table in tables]
    scores = {(one.model, one.target): one for one in found.scores}
    gains = {(one.opponent, one.target): one for one in found.differences}
    of_all = {(one.opponent, one.target): one for one in metrics.differences}
    networks = (
        NameableRow(
            label_of(result.model, metrics), tuple(_score(getattr(result, target), scores[result.model, target]) for target in targets)
        )
        for result in deciding_results(metrics)
    )
    differences = (
        NameableRow(f"{opponent} → fine-tuned", tuple(_gain(of_all[opponent, target], gains[opponent, target]) for target in targets))
        for opponent in dict.fromkeys(one.opponent for one in found.differences)
    )
    return (*networks, *differences)


def _score(of_all: TargetMetrics, of_nameable: NetworkScore) -> NameableCell:
    return NameableCell(percent(of_all.top1), percent(of_nameable.top1), percent_interval(of_nameable.top1_interval))


def _gain(of_all: PairedDifference, of_nameable: PairedDifference) -> NameableCell:
    return NameableCell(signed(of_all.difference), signed(of_nameable.difference), percent_interval(of_nameable.interval))
