"""Sum up a comparison: in sentences, as a banner, as facts for the next step."""

import math
from dataclasses import dataclass
from typing import Literal

from tasks.report_next_steps import Facts, Rare
from tasks.settings import form_path, in_airflow, label_url
from tasks.store.records.dataset import NO_OBJECT, NOTHING
from tasks.store.records.evaluation import EvaluateResult, PairedDifference, SeedSpread, TargetMetrics
from tasks.store.records.metrics import Metrics
from tasks.store.records.record import MODELS, ModelRole, SplitName, Target
from tasks.wording import count, listed, percent, percent_interval, points, quoted, roughly, signed

MOST_UNSEEN = {"difference": 0.05, "second descent": 0.1}
"""How far from zero the interval of an absent effect may reach. With a wider one, the data cannot tell."""
MIN_SOURCES = 3
"""Source videos of a class, one for each split."""


@dataclass(frozen=True)
class Verdict:
    """The banner of a page; `kind` sets colour and symbol, unbeaten majority classes give warnings."""

    kind: Literal["passes", "kept", "unknown"]
    word: str
    then: str
    warnings: tuple[str, ...]


def verdict_on(ours: EvaluateResult, theirs: EvaluateResult, difference: PairedDifference, spread: SeedSpread | None = None) -> str:
    """Put the comparison into one sentence of three figures that starts with the outcome.

    With several seeds, the score is their mean. If the registered network is no better than always predicting the most frequent action, that is the outcome, whichever network wins.
    """
    in_short, action = _in_short(ours, theirs, spread.difference if spread else difference), ours.action
    clips = count(ours.num_clips, f"{ours.split} clip")
    other, name = theirs.action.top1, f"the {theirs.model}"
    if action.top1 <= action.majority_top1:
        other, name = action.majority_top1, always_predicting(action.majority_class)
        if spread:
            return (
                f"{in_short}: the registered network names {percent(action.top1)} of the {difference.target}s right, {name} {percent(other)}, "
                f"on {clips}."
            )
    score, averaged = (percent(spread.mean_top1), " on average over seeds") if spread else (percent(action.top1), "")
    return f"{in_short}: {score} of the {difference.target}s are right{averaged}, {percent(other)} by {name}, on {clips}."


def figures_in_words(metrics: Metrics) -> str:
    """Give both networks' top-1, and the gain with its interval; empty if one is missing."""
    opponent = opponent_of(metrics)
    scores = {result.model: result.action.top1 for result in deciding_results(metrics)}
    gain = next((d for d in metrics.differences if d.target == metrics.targets[-1] and d.opponent == opponent), None)
    if metrics.spread:
        gain, scores["fine-tuned"] = metrics.spread.difference, metrics.spread.mean_top1
    if gain is None or not {"fine-tuned", opponent} <= scores.keys():
        return ""
    return (
        f"{percent(scores['fine-tuned'])} of the {gain.target}s by the new network, {percent(scores[opponent])} by the {opponent}: "
        f"{signed(gain.difference)} points, 95 % interval {percent_interval(gain.interval)}"
    )


def consequence_in_words(
    promotion: str,
    *,
    passed: bool,
    may_be_provisional: bool,
    faces_champion: bool,
    champion_is_provisional: bool = False,
    became_champion: bool | None = None,
) -> str:
    """Say in one sentence which rules passed and who becomes champion.

    Args:
        may_be_provisional: the network may become the first champion without having passed.
        faces_champion: the opponent is a champion, and not the baseline.
        champion_is_provisional: the champion has not passed the gate.
        became_champion: whether the network did, and still is; None before the decision.
    """
    if became_champion is not None and (passed or may_be_provisional) and promotion != "never":
        rules = "All rules passed" if passed else "Not all rules passed"
        role = "the champion" if passed else "the provisional champion"
        return f"{rules}: it became {role}." if became_champion else f"{rules}, and it was not promoted."
    if passed:
        then = {
            "auto": "it is promoted if the champion is still the same",
            "approve": "a person decides in Airflow",
            "never": "it is registered but not promoted (promotion=never)",
        }[promotion]
        return f"All rules passed: {then}."
    if may_be_provisional:
        then = {
            "auto": "it becomes the provisional champion if there is still no champion",
            "approve": "a person decides in Airflow whether it becomes the provisional champion",
        }[promotion]
        return f"Not all rules passed, but no other network is champion: {then}."
    if champion_is_provisional:
        return "Not promoted: the champion stays. It is provisional, too, and only a network that passes replaces it."
    return f"Not promoted: {'the champion stays' if faces_champion else 'there is still no champion'}."


def why(
    ours: EvaluateResult,
    theirs: EvaluateResult,
    difference: PairedDifference,
    spread: SeedSpread | None = None,
    *,
    beats_guessing: bool,
    min_clips: int = 0,
) -> str:
    """Give the reasons for `verdict_on`, with the figures.

    Args:
        beats_guessing: the network is significantly better than always predicting the most frequent action.
    """
    sample = f"{count(ours.num_clips, f'{ours.split} clip')} of {count(ours.num_sources, 'source video')}"
    if spread:
        return (
            f"On {sample} the networks of {len(spread.scores)} seeds classify {percent(spread.mean_top1)} of the {difference.target}s correctly on "
            f"average, {_against_opponent(theirs, spread.difference, min_clips)}. The registered network classifies {percent(ours.action.top1)} "
            f"correctly; {_against_majority(ours, beats_guessing=beats_guessing)}. "
            f"By seed: {spread_in_words(spread)}. The interval is over source videos and seeds."
        )
    return (
        f"On {sample} the new network classifies {percent(ours.action.top1)} of the {difference.target}s correctly, "
        f"{_against_opponent(theirs, difference, min_clips)}; {_against_majority(ours, beats_guessing=beats_guessing)}."
    )


def spread_in_words(spread: SeedSpread) -> str:
    """List the scores of all seeds, the registered network's first, with their standard deviation."""
    first, *others = ((percent(score.top1), f"seed {score.seed}") for score in spread.scores)
    named = [f"{first[0]} ({first[1]}, registered)", *(f"{top1} ({seed})" for top1, seed in others)]
    return f"{listed(named)}, standard deviation {points(spread.top1_seed_sd)}"


def guessing_caveat(ours: EvaluateResult) -> str:
    """List the targets on which the new network does not beat the majority class.

    For example `no better than always predicting 'put meat' (34.8 % of actions)`; of a target with one class `'put' is the only verb`. Empty if
    there are none.
    """
    unbeaten = _unbeaten_majorities(ours)
    baselines = [
        f"{in_quotes(metrics.majority_class)} ({percent(metrics.majority_top1)} of {target}s)"
        for target, metrics in unbeaten
        if not _is_only_class(metrics)
    ]
    alone = [f"{in_quotes(metrics.majority_class)} is the only {target}" for target, metrics in unbeaten if _is_only_class(metrics)]
    return "; ".join([*([f"no better than always predicting {listed(baselines)}"] if baselines else []), *alone])


def _is_only_class(metrics: TargetMetrics) -> bool:
    """Check whether all clips have one class, and the network always names it."""
    return metrics.top1 == metrics.majority_top1 == 1


def _unbeaten_majorities(ours: EvaluateResult) -> list[tuple[Target, TargetMetrics]]:
    """List the targets that do not beat the majority class, the deciding target first."""
    scored: list[tuple[Target, TargetMetrics]] = [(target, getattr(ours, target)) for target in reversed(ours.targets)]
    return [(target, metrics) for target, metrics in scored if metrics.top1 <= metrics.majority_top1]


def _in_short(ours: EvaluateResult, theirs: EvaluateResult, difference: PairedDifference) -> str:
    low, high = difference.interval
    if ours.action.top1 <= ours.action.majority_top1:
        return "No better than guessing"
    if low > 0:
        return f"Better than the {difference.opponent}"
    if high < 0:
        return f"Worse than the {difference.opponent}"
    if difference.difference == 0 and theirs.action.top1 == 1:
        return "Too easy to tell, neither makes a mistake"
    return f"Like the {difference.opponent}" if is_absent("difference", difference.interval) else "Too little data to tell"


def _against_opponent(theirs: EvaluateResult, difference: PairedDifference, min_clips: int) -> str:
    interval = f"95 % confidence interval of the difference {percent_interval(difference.interval)}"
    more = "more" if difference.difference > 0 else "fewer"
    sentence = f"{points(difference.difference)} {more} than the {theirs.model} ({percent(theirs.action.top1)}; {interval})"
    if difference.num_gained == difference.num_lost:
        sentence = f"as many as the {theirs.model} ({interval})"
    if excludes_zero(difference) or is_absent("difference", difference.interval):
        return sentence
    return f"{sentence}; {_too_small(difference, theirs.split, min_clips)}"


def _too_small(difference: PairedDifference, split: SplitName, min_clips: int) -> str:
    if difference.num_sources == 1:
        return "one source video is not enough to tell"
    too_small = "the data is too small to tell"
    if difference.num_seeds > 1:
        return f"{too_small}: more videos or more seeds would be needed"
    if difference.num_clips_needed is None:
        return too_small
    num_clips = max(difference.num_clips_needed, min_clips)
    num_sources = math.ceil(num_clips * difference.num_sources / difference.num_clips)
    return f"{too_small}: {roughly(num_clips)} {split} clips of {roughly(num_sources)} source videos would be needed"


def _against_majority(ours: EvaluateResult, *, beats_guessing: bool) -> str:
    action = ours.action
    always = always_predicting(action.majority_class)
    others = [_unbeaten_in_words(target, metrics) for target, metrics in _unbeaten_majorities(ours) if target != ours.targets[-1]]
    if action.top1 <= action.majority_top1:
        sentence = f"{always} gives {percent(action.majority_top1)}"
    elif beats_guessing:
        sentence = f"{always} gives less, {percent(action.majority_top1)}"
    else:
        sentence = f"{always} gives less, {percent(action.majority_top1)}, but the data is too small to be sure of it"
    return f"{sentence}; the network classifies {listed(others)}" if others else sentence


def _unbeaten_in_words(target: Target, metrics: TargetMetrics) -> str:
    correct = f"{percent(metrics.top1)} of the {target}s correctly"
    if _is_only_class(metrics):
        return f"{correct}, and {in_quotes(metrics.majority_class)} is the only one"
    guessed = "the same as" if metrics.top1 == metrics.majority_top1 else f"against {percent(metrics.majority_top1)} for"
    return f"only {correct}, {guessed} {always_predicting(metrics.majority_class)}"


def always_predicting(class_name: str) -> str:
    """Name the baseline: `always predicting 'put meat'`, or `always predicting no object`."""
    return f"always predicting {in_quotes(class_name)}"


def in_quotes(class_name: str) -> str:
    """Name a class in a sentence: `'meat'`, or `no object` for the noun `(none)`."""
    return readable(class_name) if class_name == NO_OBJECT else quoted(class_name)


def readable(class_name: str) -> str:
    """Name a class in a table: `meat`, or `no object` for the noun `(none)`."""
    return "no object" if class_name == NO_OBJECT else class_name


def deciding_results(metrics: Metrics) -> tuple[EvaluateResult, ...]:
    """Select the scores on the deciding split, in the order of `MODELS`."""
    of_role = {result.model: result for result in metrics.results if result.split == metrics.deciding_split}
    return tuple(of_role[role] for role in MODELS if role in of_role)


def opponent_of(metrics: Metrics) -> ModelRole:
    """Name the network that the fine-tuned one must beat."""
    return "baseline" if metrics.champion_version is None else "champion"


def verdict_of(metrics: Metrics) -> Verdict:
    """Build the banner.

    A failed gate is `unknown` if there are too few clips or source videos, or if the gain shows at 95 % but not at the level of this decision.
    It is also `unknown` if the interval of the deciding difference includes zero, unless the network does not even beat the majority class.
    """
    challenger = next((result for result in deciding_results(metrics) if result.model == "fine-tuned"), None)
    scores = [(target, getattr(challenger, target)) for target in metrics.targets] if challenger else []
    warnings = tuple(f"{target}s: {percent(m.top1)} is {majority_warning(m)}" for target, m in scores if m.top1 <= m.majority_top1)
    then = consequence_in_words(
        metrics.gate.promotion,
        passed=metrics.passed,
        may_be_provisional=metrics.provisional,
        faces_champion=metrics.champion_version is not None,
        champion_is_provisional=metrics.champion_is_provisional,
        became_champion=metrics.is_champion,
    )
    if metrics.passed:
        return Verdict("passes", "Passed", then, warnings)
    opponent = opponent_of(metrics)
    registered = next((d for d in metrics.differences if d.target == metrics.targets[-1] and d.opponent == opponent), None)
    decisive = metrics.spread.difference if metrics.spread else registered
    failed = {rule.rule for rule in metrics.rules if not rule.passed}
    too_few = bool(failed & {"num_clips", "num_sources"})
    shows_at_95 = decisive is not None and decisive.interval[0] > 0
    gains_itself = registered is not None and registered.difference > 0
    too_strict = shows_at_95 and gains_itself and bool(failed) and failed <= {"looks", "gain"}
    majority_wins = challenger is not None and challenger.action.top1 <= challenger.action.majority_top1
    if too_few or too_strict or (decisive is not None and not excludes_zero(decisive) and not majority_wins):
        return Verdict("unknown", "Inconclusive", then, warnings)
    return Verdict("kept", "Failed", then, warnings)


def cautions(metrics: Metrics) -> tuple[tuple[str, str], ...]:
    """List reasons why the deciding scores may be too optimistic, with their sections."""
    split, checks = metrics.deciding_split, metrics.checks
    num_sources = next((result.num_sources for result in deciding_results(metrics) if result.model == "fine-tuned"), 0)
    num_alike = sum(pair.split == split for pair in checks.near_duplicates)
    num_shared = sum(recording.num_clips for recording in checks.shared_recordings if recording.split == split)
    earlier = "train" if split == "val" else "train or val"
    num_few = num_sources if num_sources < metrics.gate.min_gate_sources else 0
    reasons = (
        (num_shared, f"{split} clip", f"of recordings that {earlier} has, too", "shared-recordings"),
        (len(checks.shared_sources), "source video", "in two splits", "shared-sources"),
        (num_alike, f"{split} clip", "like a clip of another split", "near-duplicates"),
        (num_few, "source video", f"of {split} alone", "gate"),
    )
    return tuple((f"{count(number, noun)} {words}", anchor) for number, noun, words, anchor in reasons if number)


def majority_warning(metrics: TargetMetrics) -> str:
    """Return the warning for a network that does not beat the majority class, else nothing."""
    if metrics.top1 > metrics.majority_top1:
        return ""
    if _is_only_class(metrics):
        return f"the same as {always_predicting(metrics.majority_class)}, the only class here"
    how = "below" if metrics.top1 < metrics.majority_top1 else "no better than"
    return f"{how} {always_predicting(metrics.majority_class)} ({percent(metrics.majority_top1)})"


def is_absent(effect: str, interval: tuple[float, float]) -> bool:
    """Check whether an interval around zero is narrow enough to call an effect absent."""
    return max(-interval[0], interval[1]) <= MOST_UNSEEN[effect]


def excludes_zero(difference: PairedDifference) -> bool:
    """Check whether the interval lies on one side of zero."""
    low, high = difference.interval
    return low > 0 or high < 0


def facts_of(metrics: Metrics, *, has_champion: bool = False) -> Facts:
    """Collect the facts that tell what to do next."""
    counts: dict[str, Rare] = {}
    for label in metrics.label_counts:
        if label.target == metrics.targets[-1] and label.name != NOTHING:
            before = counts.get(label.name, Rare(label.name, 0, 0))
            num_sources = before.num_sources + (label.num_sources or MIN_SOURCES)
            counts[label.name] = Rare(label.name, before.num_clips + label.num_clips, num_sources)
    is_due = metrics.is_champion is None and (metrics.passed or metrics.provisional) and metrics.gate.promotion == "auto"
    compared = ("fine-tuned", opponent_of(metrics))
    top1 = [getattr(result, metrics.targets[-1]).top1 for result in deciding_results(metrics) if result.model in compared]
    few = (rare for rare in counts.values() if rare.num_clips < metrics.gate.min_class_clips or rare.num_sources < MIN_SOURCES)
    champion, challenger = (f"models:/{metrics.model_name}@{alias}" for alias in ("champion", "challenger"))
    has_champion |= metrics.has_champion or metrics.champion_version is not None or is_due
    store_uri = metrics.provenance.store_uri
    predict = form_path("predict_videos", {"store": store_uri, "model": champion if has_champion else challenger})
    second = f"models:/{metrics.model_name}/{metrics.version}" if metrics.version else challenger
    compare = form_path("compare_versions", {"store": store_uri, "first": champion, "second": second})
    return Facts(
        model_name="" if metrics.provenance.train.label_noise else metrics.model_name,
        has_champion=has_champion,
        num_unlabelled=metrics.num_unlabelled,
        missing=tuple(
            f"{rule.title.lower()} ({rule.detail}{_labels_needed(metrics) if rule.rule == 'num_clips' else ''})"
            for rule in metrics.rules
            if not rule.passed
        ),
        faultless_split=metrics.deciding_split if all(score == 1 for score in top1) and len(top1) > 1 else "",
        rare=tuple(sorted(few, key=lambda rare: (rare.num_clips, rare.num_sources, rare.name))),
        label_url=label_url(metrics.provenance.airflow_run, uri=metrics.provenance.dataset_uri),
        predict_url=in_airflow(metrics.provenance.airflow_run, predict),
        has_opponent=metrics.champion_version is not None and not metrics.passed and not metrics.provenance.train.label_noise,
        compare_url=in_airflow(metrics.provenance.airflow_run, compare),
    )


def _labels_needed(metrics: Metrics) -> str:
    """Word how many labelled clips give the deciding split enough."""
    num_acting = {size.split: size.num_clips - size.num_nothing for size in metrics.splits}
    num_deciding = num_acting.get(metrics.deciding_split, 0)
    needed = metrics.gate.labels_needed(sum(size.num_clips for size in metrics.splits), sum(num_acting.values()), num_deciding)
    return f": {roughly(needed)} labelled clips; videos keep their split, so a larger {metrics.deciding_split}_share serves new videos only"
