"""Compare scores on all clips with scores on clips that every network can name."""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.judge.report.page_scores import TargetTable, deciding_results, label_of
from tasks.judge.statistics.nameable import WITHOUT_OBJECT
from tasks.store.records.evaluation import NameableClips, NetworkScore, PairedDifference, TargetMetrics, UnnamedClips
from tasks.store.records.metrics import Metrics
from tasks.store.records.record import IN_WORDS
from tasks.wording import count, listed, percent, percent_interval, quoted, signed

MAX_CLASSES_NAMED = 5


@dataclass(frozen=True)
class NameableCell:
    """Top-1, or a difference in points, of one target.

    On all clips, and with its interval on the clips that every network can name.
    """

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


def unnamed_in_words(found: NameableClips) -> str:
    """Describe the unnamed clips, one sentence per network.

    For example `12 of 30 val clips belong to classes that the baseline cannot name: verb 'knit'.`
    """
    return " ".join(
        f"{one.num_clips:,} of {count(found.num_all_clips, f'{found.split} clip')} {'belongs' if one.num_clips == 1 else 'belong'} to classes that "
        f"{IN_WORDS[one.model]} cannot name: {_classes(one)}."
        for one in found.unnamed
    )


def nameable_in_words(found: NameableClips) -> str:
    """Describe the comparison on the clips that every network can name."""
    decides = "The gate decides on all clips."
    if not found.num_clips:
        return f"No clip is left that every network can name. {decides}"
    decisive = found.scores[-1].target
    right = [f"{percent(score.top1)} by {IN_WORDS[score.model]}" for score in found.scores if score.target == decisive]
    gains = [
        f"{signed(one.difference)} {percent_interval(one.interval)} over {IN_WORDS[one.opponent]}"
        for one in found.differences
        if one.target == decisive
    ]
    sample = f"{count(found.num_clips, 'clip')} of {count(found.num_sources, 'source video')}"
    return f"On the {sample} that every network can name, {decisive}s right: {listed(right)}; in points {listed(gains)}. {decides}"


def nameable_rows(metrics: Metrics, tables: Sequence[TargetTable]) -> tuple[NameableRow, ...]:
    """Build the rows of the table.

    Empty if every network can name every clip, or if no such clip is left.
    """
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


def _classes(unnamed: UnnamedClips) -> str:
    shown = [(one, *one.split(" ", 1)) for one in unnamed.classes[:MAX_CLASSES_NAMED]]
    named = [one if one == WITHOUT_OBJECT else f"{target} {quoted(name)}" for one, target, name in shown]
    others = len(unnamed.classes) - len(named)
    return f"{', '.join(named)} and {others} more" if others else listed(named)
