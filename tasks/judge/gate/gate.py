"""Apply the promotion rules."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from tasks.errors import BadInput
from tasks.judge.gate.verdict import always_predicting, consequence_in_words, guessing_caveat, verdict_on, why
from tasks.judge.statistics.metrics import ClassOutcome, significant_losses
from tasks.judge.statistics.paired import PairedChange
from tasks.options import GateOptions
from tasks.store.records.dataset import DatasetClip
from tasks.store.records.decisions import Attempt, RuleOutcome
from tasks.store.records.evaluation import EvaluateResult, PairedDifference, SeedSpread
from tasks.store.records.metrics import LabelCount
from tasks.store.records.record import SplitName
from tasks.wording import count, count_with_verb, listed, percent, percent_interval, points, quoted, signed

MAX_CLASSES_NAMED = 5


@dataclass(frozen=True)
class Judgement:
    """The gate's result.

    Attributes:
        rules: labels (if they were altered), engine, num_clips, num_sources, looks, gain, guessing, classes, in this order.
        verdict: one sentence: which network is better, and three figures.
        why: by how much, whether that is significant, and the majority class's score; with several seeds, also the score of each.
        consequence: one sentence: which rules passed, and who becomes champion.
        reason: the failed rules, or the gain, for tags and tables.
        provisional: whether it becomes the first champion without having passed, unless a person says no.
    """

    rules: tuple[RuleOutcome, ...]
    passed: bool
    verdict: str
    why: str
    consequence: str
    reason: str
    provisional: bool = False


def contenders(results: Sequence[EvaluateResult], split: SplitName) -> tuple[EvaluateResult, EvaluateResult]:
    """Select the new network and its opponent, the champion, else the baseline.

    Raises:
        BadInput: the split has no results of both.
    """
    by_model = {result.model: result for result in results if result.split == split}
    opponent = by_model.get("champion", by_model.get("baseline"))
    if opponent is not None and "fine-tuned" in by_model:
        return by_model["fine-tuned"], opponent
    raise BadInput(f"{split} was not scored with both the new network and its opponent; run `evaluate` for both")


def choose_deciding_split(clips: Sequence[DatasetClip], gate: GateOptions) -> SplitName:
    """Select the split that decides on promotion.

    Test decides if it has enough clips with an action, and source videos, or if there is no val.

    Raises:
        BadInput: neither test nor val has a clip.
    """
    test = [clip.source for clip in clips if clip.split == "test" and clip.has_action]
    splits = {clip.split for clip in clips}
    preferred: tuple[SplitName, SplitName] = ("test", "val") if gate.is_enough(len(test), len(set(test))) else ("val", "test")
    for split in preferred:
        if split in splits:
            return split
    raise BadInput("the dataset has neither a test nor a val split to decide on; build it again with a val_share")


def judge(
    ours: EvaluateResult,
    theirs: EvaluateResult,
    difference: PairedDifference,
    over_guessing: PairedChange,
    class_outcomes: Sequence[ClassOutcome],
    gate: GateOptions,
    attempt: Attempt,
    label_noise: float = 0,
    train_counts: Sequence[LabelCount] = (),
    *,
    champion_is_provisional: bool = False,
    spread: SeedSpread | None = None,
) -> Judgement:
    """Apply the promotion rules. A tie never passes.

    Where there is no champion, a network that fails becomes the provisional one if it is right more often than always predicting the
    most frequent action; to pass, it must be so significantly.

    With several seeds, the recipe must gain on average, and its registered network must be right on more clips than the opponent, too. All other
    rules are about the registered network, which is the one that will answer.

    Args:
        difference: of the registered network.
        over_guessing: how the new network compares with always predicting the most frequent action, on the same clips.
        attempt: the level at which the gain is tested, and the interval of the gain at that level.
        label_noise: the share of training labels that were altered; with any, the network never passes.
        train_counts: clips of each class of the last target in train.
        champion_is_provisional: the champion has not passed the gate.
        spread: the scores of all seeds and the difference of their mean; None if one seed trained the recipe.

    Raises:
        BadInput: the two were not scored on the same clips, or the difference is of other networks.
    """
    _check(ours, theirs, difference)
    # One sentence without its full stop, as the details of all rules, which reasons join.
    looks = "; ".join(f"{sentence[0].lower()}{sentence[1:]}" for sentence in _looks_and_risk(attempt, ours.split))
    rules = (
        *scoreless_rules(ours, theirs, gate, label_noise, spread),
        RuleOutcome(rule="looks", title="Error budget left for this year", passed=not attempt.obstacle, detail=looks),
        _gain(difference, attempt, spread),
        _guessing(ours, over_guessing, train_counts),
        _classes(class_outcomes, gate, "verb or noun" if "noun" in ours.targets else "verb"),
    )
    passed = all(rule.passed for rule in rules)
    provisional = (
        not passed and theirs.model == "baseline" and not label_noise and gate.promotion != "never" and over_guessing.difference > 0
    )
    consequence = consequence_in_words(
        gate.promotion,
        passed=passed,
        may_be_provisional=provisional,
        faces_champion=theirs.model == "champion",
        champion_is_provisional=champion_is_provisional,
    )
    return Judgement(
        rules=rules,
        passed=passed,
        verdict=verdict_on(ours, theirs, difference, spread),
        why=why(ours, theirs, difference, spread, beats_guessing=over_guessing.interval[0] > 0, min_clips=gate.min_gate_clips),
        consequence=consequence,
        reason=_reason(rules, ours, theirs, difference, consequence, spread),
        provisional=provisional,
    )


def scoreless_rules(
    ours: EvaluateResult, theirs: EvaluateResult, gate: GateOptions, label_noise: float, spread: SeedSpread | None
) -> tuple[RuleOutcome, ...]:
    """Apply the rules that know no scores: where one fails, a decision spends nothing."""
    is_same_engine, how_scored = _is_same_engine(ours, theirs, spread)
    rules = (
        RuleOutcome(rule="engine", title="Same engine and crops", passed=is_same_engine, detail=how_scored),
        _enough("num_clips", "Enough clips", ours.num_clips, gate.min_gate_clips, "clip"),
        _enough("num_sources", "Enough source videos", ours.num_sources, gate.min_gate_sources, "source video"),
    )
    if not label_noise:
        return rules
    detail = f"{percent(label_noise)} of the training labels were altered, to study long trainings; such a network is never registered"
    return RuleOutcome(rule="labels", title="Labels as people gave them", passed=False, detail=detail), *rules


def _enough(rule: Literal["num_clips", "num_sources"], title: str, number: int, least: int, noun: str) -> RuleOutcome:
    return RuleOutcome(rule=rule, title=title, passed=number >= least, detail=f"{count(number, noun)}, at least {least:,} needed")


def _check(ours: EvaluateResult, theirs: EvaluateResult, difference: PairedDifference) -> None:
    if theirs.model == "fine-tuned":
        raise BadInput(f"{theirs.predictions_uri}: the new network is the challenger, not its own opponent")
    for field in ("split", "num_clips", "num_sources"):
        if getattr(ours, field) != getattr(theirs, field):
            raise BadInput(
                f"the new network and the {theirs.model} differ in {field} "
                f"({getattr(ours, field)}, {getattr(theirs, field)}); evaluate both again on the same dataset"
            )
    expected = (ours.targets[-1], theirs.model, ours.num_clips, ours.num_sources)
    if (difference.target, difference.opponent, difference.num_clips, difference.num_sources) != expected:
        raise BadInput(
            f"the paired difference is not of {expected[0]} top-1 between the new network and the {theirs.model}; run compare again"
        )


def _is_same_engine(ours: EvaluateResult, theirs: EvaluateResult, spread: SeedSpread | None) -> tuple[bool, str]:
    """Check whether all networks were scored alike, and say how they were."""
    by_ours, by_theirs = (f"{result.engine.label}, {count(result.crops, 'crop')}" for result in (ours, theirs))
    is_alike_in_all = ours.crops == theirs.crops and not (ours.engine.has_backbone and theirs.engine.has_backbone)
    if by_ours != by_theirs and not is_alike_in_all:
        return False, (
            f"the new network was scored by {by_ours}, the {theirs.model} by {by_theirs}; run again with an `engine` that both "
            "can use, such as engine=pytorch, and the same `crops`"
        )
    for score in spread.scores if spread else ():
        if score.engine != ours.engine.label:
            return False, (
                f"seed {score.seed} was scored by {score.engine}, the registered network by {ours.engine.label}; "
                "run again with engine=pytorch"
            )
    if by_ours != by_theirs:
        return True, f"scored by {by_ours} and {by_theirs}; heads on features of sound run alike in every engine"
    return True, f"both scored by {by_ours}"


def _gain(registered: PairedDifference, attempt: Attempt, spread: SeedSpread | None = None) -> RuleOutcome:
    difference = spread.difference if spread else registered
    low, high = attempt.interval or difference.interval
    confidence = f"{100 * (1 - 2 * attempt.level):.5g}"
    at_level = "" if confidence == "95" else f" {percent_interval((low, high))}"
    gained = difference.num_gained - difference.num_lost
    of_seeds = f" on average over {difference.num_seeds} seeds" if spread else ""
    gain = f"{difference.target} top-1{of_seeds} {signed(difference.difference)} points {percent_interval(difference.interval)}"
    where = "lies above" if low > 0 else "lies below" if high < 0 else "includes"
    conditions = [(low > 0, f"the {confidence} % confidence interval{at_level} {where} zero")]
    if spread and gained:
        is_better = registered.num_gained > registered.num_lost
        conditions.append((is_better, f"the registered network gains {signed(registered.difference)} by itself"))
    passed = gained != 0 and all(holds for holds, _ in conditions)
    words = listed([condition for _, condition in conditions]) if gained else "a tie keeps the champion"
    return RuleOutcome(rule="gain", title=f"Better on {difference.target}s", passed=passed, detail=f"{gain}: {words}")


def _guessing(ours: EvaluateResult, over_guessing: PairedChange, train_counts: Sequence[LabelCount]) -> RuleOutcome:
    action, low = ours.action, over_guessing.interval[0]
    gain = f"{signed(over_guessing.difference)} points {percent_interval(over_guessing.interval)}"
    detail = (
        f"{ours.targets[-1]} top-1 {percent(action.top1)}, {gain} over {always_predicting(action.majority_class)}: "
        f"the 95 % confidence interval {'lies above' if low > 0 else 'does not lie above'} zero"
    )
    if train_counts and over_guessing.difference <= 0:
        fewest = sorted(train_counts, key=lambda train_count: (train_count.num_clips, train_count.name))[:MAX_CLASSES_NAMED]
        named = ", ".join(f"{quoted(label_count.name)} ({count(label_count.num_clips, 'clip')})" for label_count in fewest)
        detail += f"; more labels would help, above all of what train has fewest clips of: {named}"
    return RuleOutcome(rule="guessing", title="Better than guessing", passed=low > 0, detail=detail)


def _classes(class_outcomes: Sequence[ClassOutcome], gate: GateOptions, kinds: str) -> RuleOutcome:
    judged = [change for change in class_outcomes if change.num_clips >= gate.min_class_clips]
    large = [change for change in judged if 100 * change.num_fewer > gate.max_class_loss_points * change.num_clips]
    certain = significant_losses(judged)
    failed = [change for change in large if change in certain]
    of_enough = f"{count(gate.min_class_clips, 'clip')} or more"
    title = f"No class loses too much ({len(judged):,} of {len(class_outcomes):,} tested)"
    limit = f"{gate.max_class_loss_points:g} points of recall"
    if failed:
        worst = sorted(failed, key=lambda outcome: (-outcome.num_fewer / outcome.num_clips, outcome.target, outcome.name))
        named = [
            f"{outcome.target} {quoted(outcome.name)} loses {points(outcome.num_fewer / outcome.num_clips)} of recall ({count(outcome.num_clips, 'clip')})"
            for outcome in worst[:MAX_CLASSES_NAMED]
        ]
        others = f", and {len(failed) - len(named)} more" if len(failed) > len(named) else ""
        detail = f"{', '.join(named)}{others}; more than {limit} fails a class if the loss is significant"
    elif judged:
        by_chance = f"; {len(large)} lost more, but not significantly" if large else ""
        less = f"; {len(certain)} lost significantly, but not more" if certain else ""
        detail = f"no {kinds} with {of_enough} has a significant loss of more than {limit}{by_chance}{less}"
    else:
        title = "No class has enough clips to test"
        detail = f"no {kinds} has {of_enough}, so none was tested"
    return RuleOutcome(rule="classes", title=title, passed=not failed, detail=detail)


def _reason(
    rules: Sequence[RuleOutcome],
    ours: EvaluateResult,
    theirs: EvaluateResult,
    difference: PairedDifference,
    consequence: str,
    spread: SeedSpread | None,
) -> str:
    failed = [rule for rule in rules if not rule.passed]
    if failed:
        sentence = f"{'; '.join(f'{rule.title.lower()}: no ({rule.detail})' for rule in failed)}. {consequence.rstrip('.')}"
    else:
        if spread:
            difference = spread.difference
        score = f"{percent(spread.mean_top1)} on average over {len(spread.scores)} seeds" if spread else percent(ours.action.top1)
        sentence = (
            f"{difference.target} top-1 {score}, {signed(difference.difference)} points {percent_interval(difference.interval)} over the "
            f"{theirs.model}, on {count(ours.num_clips, f'{ours.split} clip')} of {count(ours.num_sources, 'source video')}"
        )
    caveat = guessing_caveat(ours)
    return f"{sentence}. Warning: {caveat}" if caveat else sentence


def attempt_in_words(attempt: Attempt | None, split: SplitName) -> str:
    """Describe earlier looks at the deciding clips, level and charge; empty for older results."""
    return " ".join(f"{sentence}." for sentence in _looks_and_risk(attempt, split)) if attempt else ""


def _looks_and_risk(attempt: Attempt, split: SplitName) -> tuple[str, ...]:
    """Write the sentences of `attempt_in_words`, without their full stops."""
    if attempt.spent is None:
        return ()
    must = f"the gain must show at {_share(attempt.level)}"
    if attempt.num_others:
        looks = f"{count_with_verb(attempt.num_others, 'other network', 'was', 'were')} scored on these {split} clips"
        must = f", so {must} instead of {_share(attempt.charge)}"
    elif attempt.num_decided:
        looks, must = f"{count_with_verb(attempt.num_decided, 'network', 'was', 'were')} decided on these {split} clips before", f"; {must}"
    else:
        looks, must = f"No other network was scored on these {split} clips", f"; {must}"
    spent = f"{_share(attempt.spent)} of the year's {_share(attempt.yearly_error)} are spent"
    if attempt.obstacle:
        risk = f"Nothing is left to test at; {attempt.obstacle}"
    elif attempt.is_spent:
        risk = f"A network that is no better passes in about {_share(attempt.charge)} of cases at most; {spent}"
    else:
        risk = f"It spends nothing, since no network can be promoted for passing here, whatever the scores; {spent}"
    return looks if attempt.obstacle else f"{looks}{must}", risk


def _share(value: float) -> str:
    return f"{float(f'{100 * value:.2g}'):g} %"
