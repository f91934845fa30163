"""Prepare the scores of a run as tables: of targets, nameable clips, seeds and `nothing`."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain

from tasks.judge.gate.verdict import always_predicting, deciding_results, excludes_zero, is_absent, majority_warning
from tasks.store.records.evaluation import EvaluateResult, NameableClips, NothingScores, PairedDifference, TargetMetrics, UnnamedClips
from tasks.store.records.metrics import Metrics
from tasks.store.records.record import IN_TABLES, ROLES_IN_WORDS, TARGETS, ModelRole, Target
from tasks.wording import count, count_with_verb, listed, markdown_text, percent, percent_interval, points, quoted, roughly, signed

MAX_CLASSES_NAMED = 5
NUM_GUESSES = 5
NOTHING_TITLES = ("recognised [95 % interval]", "false alarms [95 % interval]")
NOTHING_LEGEND = (
    "Clips in which nothing happens count in no accuracy of verbs, nouns or actions; losses, calibration and the weights of a fusion are of all clips. "
    "Recognised are those of them that a network calls nothing; false alarms are the clips with an action that it calls nothing."
)


@dataclass(frozen=True)
class Table:
    """A table as text: titles of its columns, and rows that begin with their labels."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class MajorityScores:
    """Scores of always ranking the classes by frequency, in the order of the tables' columns."""

    top1: float
    top5: float
    precision_weighted: float
    recall_weighted: float
    precision_macro: float
    recall_macro: float


@dataclass(frozen=True)
class ScoreRow:
    """Scores of one network, or of the majority class, without interval and warning."""

    label: str
    role: ModelRole | None
    scores: TargetMetrics | MajorityScores
    warning: str = ""

    @property
    def interval(self) -> tuple[float, float] | None:
        """Return the 95 % interval of top-1."""
        return self.scores.top1_interval if isinstance(self.scores, TargetMetrics) else None


@dataclass(frozen=True)
class DifferenceRow:
    """The new network minus one opponent, with a remark unless the difference is significant."""

    label: str
    difference: PairedDifference
    excludes_zero: bool
    remark: str


@dataclass(frozen=True)
class TargetTable:
    """All scores on one target."""

    target: Target
    num_classes: int
    majority_top1: float
    rows: tuple[ScoreRow, ...]
    differences: tuple[DifferenceRow, ...]


def label_of(role: ModelRole, metrics: Metrics) -> str:
    """Name a network in tables: `champion (version 3)`, `version 2 (previous)`."""
    if role == "previous":
        return f"version {metrics.previous_version} (previous)"
    if role == "champion" and metrics.champion_version is not None:
        return f"champion (version {metrics.champion_version}{', provisional' if metrics.champion_is_provisional else ''})"
    if role == "fine-tuned" and metrics.version is not None:
        return f"version {metrics.version} (new)"
    return "baseline (untrained heads)" if role == "baseline" and metrics.baseline_is_chance else IN_TABLES[role]


def target_tables(metrics: Metrics) -> tuple[TargetTable, ...]:
    """Build one table per target for the deciding split, if it was scored."""
    results = deciding_results(metrics)
    return tuple(_target_table(target, results, metrics) for target in metrics.targets) if results else ()


def _target_table(target: Target, results: Sequence[EvaluateResult], metrics: Metrics) -> TargetTable:
    scored: list[tuple[ModelRole, TargetMetrics]] = [(result.model, getattr(result, target)) for result in results]
    rows = [ScoreRow(label_of(role, metrics), role, scores, majority_warning(scores)) for role, scores in scored]
    _, last = scored[-1]
    return TargetTable(
        target=target,
        num_classes=last.num_classes,
        majority_top1=last.majority_top1,
        rows=(*rows, ScoreRow(always_predicting(last.majority_class), None, majority_scores(last))),
        differences=tuple(difference_row(difference) for difference in metrics.differences if difference.target == target),
    )


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


def difference_label(opponent: str) -> str:
    """Name the row of a difference: `champion → new network`."""
    return f"{opponent} → {IN_TABLES['fine-tuned']}"


def difference_row(difference: PairedDifference) -> DifferenceRow:
    """Build the row of one difference, with a remark if its interval includes zero."""
    if excludes_zero(difference):
        return DifferenceRow(difference_label(difference.opponent), difference, True, "")
    remark = "too small to tell"
    if is_absent("difference", difference.interval):
        remark = "no difference of more than 5 points"
    elif difference.num_sources == 1:
        remark = "one source video is not enough to tell"
    elif difference.num_clips_needed is not None:
        remark = f"too small to tell; {roughly(difference.num_clips_needed)} clips would be needed"
    return DifferenceRow(difference_label(difference.opponent), difference, False, remark)


def unnamed_of(metrics: Metrics) -> str:
    """Describe the clips whose classes some network cannot name; empty if there are none."""
    nameable = metrics.nameable
    return f"{unnamed_in_words(nameable)} {nameable_in_words(nameable)}" if nameable else ""


def unnamed_in_words(nameable: NameableClips) -> str:
    """Say `12 of 30 val clips belong to classes that the baseline cannot name: …`."""
    return " ".join(
        f"{count_with_verb(unnamed.num_clips, f'{nameable.split} clip', 'belongs', 'belong', of=nameable.num_all_clips)} to classes that "
        f"{ROLES_IN_WORDS[unnamed.model]} cannot name: {_unnamed_classes(unnamed)}."
        for unnamed in nameable.unnamed
    )


def nameable_in_words(nameable: NameableClips) -> str:
    """Describe the comparison on the clips that every network can name."""
    decides = "The gate decides on all clips."
    if not nameable.num_clips:
        return f"No clip is left that every network can name. {decides}"
    decisive = nameable.scores[-1].target
    right = [f"{percent(score.top1)} by {ROLES_IN_WORDS[score.model]}" for score in nameable.scores if score.target == decisive]
    gains = [
        f"{signed(difference.difference)} {percent_interval(difference.interval)} over {ROLES_IN_WORDS[difference.opponent]}"
        for difference in nameable.differences
        if difference.target == decisive
    ]
    sample = f"{count(nameable.num_clips, 'clip')} of {count(nameable.num_sources, 'source video')}"
    return f"On the {sample} that every network can name, {decisive}s right: {listed(right)}; in points {listed(gains)}. {decides}"


def nameable_table(metrics: Metrics, targets: Sequence[Target]) -> Table | None:
    """Build a table of top-1 on all clips, and on those that all networks name.

    It has a row for each network and each difference. None if every network can name every clip, or if no such clip is left.
    """
    nameable = metrics.nameable
    if nameable is None or not nameable.num_clips:
        return None
    scores = {(score.model, score.target): score for score in nameable.scores}
    gains = {(difference.opponent, difference.target): difference for difference in nameable.differences}
    of_all = {(difference.opponent, difference.target): difference for difference in metrics.differences}
    rows = []
    for result in deciding_results(metrics):
        pairs = [(getattr(result, target), scores[result.model, target]) for target in targets]
        cells = [(percent(every.top1), percent(own.top1), percent_interval(own.top1_interval)) for every, own in pairs]
        rows.append((label_of(result.model, metrics), *chain(*cells)))
    for opponent in dict.fromkeys(difference.opponent for difference in nameable.differences):
        changes = [(of_all[opponent, target], gains[opponent, target]) for target in targets]
        cells = [(signed(every.difference), signed(own.difference), percent_interval(own.interval)) for every, own in changes]
        rows.append((difference_label(opponent), *chain(*cells)))
    titles = chain(*((f"{target.capitalize()}s, all", "nameable", "95 % CI") for target in targets))
    return Table(("", *titles), tuple(rows))


def seeds_table(metrics: Metrics) -> Table | None:
    """Tabulate the seeds' deciding scores, their mean, and its difference from the opponent.

    None for one seed.
    """
    spread = metrics.spread
    if spread is None:
        return None
    difference = spread.difference
    rows = [(f"seed {score.seed}", percent(score.top1)) for score in spread.scores]
    rows[0] = (f"{rows[0][0]} (the registered network)", rows[0][1])
    gain = f"{signed(difference.difference)} {percent_interval(difference.interval)}"
    last = (
        ("mean", percent(spread.mean_top1)),
        ("standard deviation", points(spread.top1_seed_sd)),
        (f"{difference.opponent} → mean, with its 95 % CI over source videos and seeds", gain),
    )
    return Table((f"{count(len(spread.scores), 'seed')} of the recipe", f"{difference.target} top-1"), (*rows, *last))


def nothing_table(scores: Iterable[tuple[str, NothingScores | None]]) -> Table | None:
    """Tabulate how often each network rightly and wrongly answers `nothing`; None without such labels."""
    known = [(label, score) for label, score in scores if score]
    if not known:
        return None
    first = known[0][1]
    caption = f"Nothing happens in {count(first.num_clips, 'clip')} of {count(first.num_sources, 'source video')}"
    rows = [
        (
            label,
            _share(score.num_recognised, score.num_clips, score.recall, score.recall_interval),
            _share(score.num_false_alarms, score.num_action_clips, score.false_alarms, score.false_alarms_interval),
        )
        for label, score in known
    ]
    return Table((caption, *NOTHING_TITLES), tuple(rows))


def _share(number: int, total: int, share: float | None, interval: tuple[float, float] | None) -> str:
    return f"{number:,} of {total:,}: {percent(share)} {percent_interval(interval)}" if share is not None and interval else "-"


def markdown_table(table: Table, *, align: str = "---:") -> str:
    """Write a table as Markdown; only the labels in its first column are escaped.

    `align` is the alignment of all columns after the first.
    """
    lines = [table.titles, (":---", *[align] * (len(table.titles) - 1)), *((markdown_text(label), *cells) for label, *cells in table.rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _unnamed_classes(unnamed: UnnamedClips) -> str:
    named = [
        f"{kind} {quoted(name) if kind in TARGETS else name}"
        for kind, _, name in (label.partition(" ") for label in unnamed.classes[:MAX_CLASSES_NAMED])
    ]
    others = len(unnamed.classes) - len(named)
    return f"{', '.join(named)} and {others} more" if others else listed(named)
