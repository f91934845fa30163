"""Compare the new network with its opponents by paired differences, and apply the gate."""

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tasks.data.split.manifest import label_counts
from tasks.errors import BadInput
from tasks.judge.gate.error_budget import spend
from tasks.judge.gate.gate import Judgement, contenders, judge, scoreless_rules
from tasks.judge.gate.verdict import spread_in_words
from tasks.judge.report.comparison_text import note, text
from tasks.judge.statistics.answers import Answers, answers_of
from tasks.judge.statistics.metrics import OPPONENTS, class_outcomes, nameable_clips
from tasks.judge.statistics.paired import Opponent, differences, over_guessing, recipe_difference
from tasks.judge.statistics.scoring import ScoredClips
from tasks.judge.statistics.uncertainty import TAIL
from tasks.pipeline._plans import plans_with_repeats
from tasks.pipeline._results import finish, finished, log, write_files
from tasks.pipeline.retrain._evidence import evaluation_results, predictions_of_actions
from tasks.pipeline.retrain.contract import COMPARE, PlannedArguments
from tasks.settings import MlflowSettings, load
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.records.dataset import Manifest, Vocabulary
from tasks.store.records.decisions import Attempt, CompareResult
from tasks.store.records.evaluation import EvaluateResult, PairedDifference, SeedScore, SeedSpread
from tasks.store.records.record import ModelRole, Target
from tasks.store.records.training import PlanResult
from tasks.store.run_layout import Comparing
from tasks.store.stored import Output
from tasks.tracking import Tracker, tracked_run
from tasks.wording import count


@dataclass(frozen=True)
class _Contest:
    """The new network and its opponent on the deciding clips with an action.

    `scored` has the answers of all networks.
    """

    plan: PlanResult
    manifest: Manifest
    ours: EvaluateResult
    theirs: EvaluateResult
    scored: dict[ModelRole, ScoredClips]

    @property
    def clips(self) -> ScoredClips:
        """Return the answers of the new network."""
        return self.scored["fine-tuned"]

    @property
    def num_resamples(self) -> int:
        """Return the number of resamples for intervals."""
        return self.plan.evaluate.bootstrap_resamples


def run(arguments: PlannedArguments, store: Store) -> CompareResult:
    """Write the comparison to the store and to MLflow, and apply the gate's rules."""
    place = COMPARE.address(arguments)
    if earlier := finished(store, place):
        log.info("%s", store.read_bytes(place.text).decode())
        return earlier
    plan = store.read(Output(arguments.plan, PlanResult))
    plan.gate.require_current("the decision")
    manifest = store.read(Dataset(plan.dataset_uri).manifest)
    tracker = Tracker(load(MlflowSettings))
    results = evaluation_results(store, plan)
    ours, theirs = contenders(results, plan.decides_on)
    contest = _Contest(plan, manifest, ours, theirs, predictions_of_actions(store, results, ours.split, manifest.vocabulary))
    log.info("resampling the answers to %s", count(len(contest.clips.uids), "clip"))
    gains = _gains(contest)
    results_of_split = [result for result in results if result.split == ours.split]
    nameable = nameable_clips(results_of_split, contest.scored, manifest.vocabulary, num_resamples=contest.num_resamples)
    deciding_gain = next(d for d in gains if (d.target, d.opponent) == (ours.targets[-1], theirs.model))
    new_uids = contest.clips.uids
    seeds = [_of_seed(seeded, new_uids, deciding_gain.target, manifest.vocabulary, store) for seeded in plans_with_repeats(plan, store)]
    opponent_answers = answers_of(contest.scored[theirs.model], manifest.vocabulary)[deciding_gain.target]
    gain_at = partial(
        recipe_difference,
        [answers for _, answers in seeds],
        opponent_answers,
        contest.clips.sources,
        opponent=deciding_gain.opponent,
        num_resamples=contest.num_resamples,
    )
    spread = SeedSpread(scores=tuple(score for score, _ in seeds), difference=gain_at(tail=TAIL)) if plan.repeats else None
    attempt = _attempt(contest, arguments.store, spread, gain_at, store)
    judgement = _judgement(contest, deciding_gain, seeds[0][1], attempt, spread)
    written = text(results, ours, gains, judgement, plan.weights.description, nameable)
    run_url = _publish(contest, place, written, judgement, gains, spread, tracker, store)
    result = CompareResult(
        split=ours.split,
        table_uri=place.text,
        opponent=deciding_gain.opponent,
        champion_version=plan.champion.version if plan.champion else None,
        opponent_top1=theirs.action.top1,
        challenger_top1=ours.action.top1,
        differences=gains,
        nameable=nameable,
        gate=plan.gate,
        rules=judgement.rules,
        passed=judgement.passed,
        verdict=judgement.verdict,
        why=judgement.why,
        reason=judgement.reason,
        mlflow_run_url=run_url,
        attempt=attempt,
        provisional=judgement.provisional,
        spread=spread,
    )
    return finish(store, place, result)


def _gains(contest: _Contest) -> tuple[PairedDifference, ...]:
    """Compare the new network with each of its opponents."""
    opponents: dict[Opponent, ScoredClips] = {model: contest.scored[model] for model in OPPONENTS if model in contest.scored}
    return differences(contest.clips, opponents, contest.manifest.vocabulary, num_resamples=contest.num_resamples)


def _attempt(
    contest: _Contest, store_uri: str, spread: SeedSpread | None, gain_at: Callable[..., PairedDifference], store: Store
) -> Attempt:
    """Spend what this decision may, and compute the interval of the gain at its level."""
    plan, split = contest.plan, contest.ours.split
    scoreless = scoreless_rules(contest.ours, contest.theirs, plan.gate, plan.train.label_noise, spread)
    can_pass = plan.gate.promotion != "never" and all(rule.passed for rule in scoreless)
    deciding_uids = frozenset(clip.uid for clip in contest.manifest.clips if clip.split == split and clip.has_action)
    attempt = spend(store, store_uri, plan, deciding_uids, can_pass=can_pass)
    # Where the level is that of the 95 % interval, use exactly `TAIL`, so that the interval that decides is the interval shown.
    tail = TAIL if math.isclose(attempt.level, TAIL) else attempt.level
    return attempt.model_copy(update={"interval": gain_at(tail=tail).interval})


def _judgement(contest: _Contest, gain: PairedDifference, answers: Answers, attempt: Attempt, spread: SeedSpread | None) -> Judgement:
    """Apply the gate's rules.

    `answers` are those of the registered network on the target of `gain`.
    """
    plan, manifest = contest.plan, contest.manifest
    acting = [clip for clip in manifest.clips if clip.split == "train" and clip.has_action]
    return judge(
        contest.ours,
        contest.theirs,
        gain,
        over_guessing(answers, contest.clips.sources, num_resamples=contest.num_resamples),
        class_outcomes(contest.clips, contest.scored[contest.theirs.model], manifest.vocabulary),
        plan.gate,
        attempt,
        plan.train.label_noise,
        label_counts(acting, contest.ours.targets[-1:]),
        is_provisional=plan.champion is not None and plan.champion.provisional,
        spread=spread,
    )


def _publish(
    contest: _Contest,
    place: Comparing,
    written: str,
    judgement: Judgement,
    gains: Sequence[PairedDifference],
    spread: SeedSpread | None,
    tracker: Tracker,
    store: Store,
) -> str:
    """Write the comparison to store, log and MLflow, and return its run's address."""
    plan = contest.plan
    shown = note(judgement, plan.weights.description, contest.ours.split, val_chose=plan.val_chooses)
    with tracked_run(tracker, plan) as run_id, tempfile.TemporaryDirectory(prefix="retake-compare-") as folder:
        write_files(store, place, {place.text: written.encode()}, Path(folder))
        tracker.log_artifacts(run_id, Path(folder))
        tracker.log_metrics(run_id, _gain_metrics(gains, contest.ours.split))
        if spread:
            log.info("%s top-1 by seed: %s", spread.difference.target, spread_in_words(spread))
            tracker.log_metrics(run_id, _spread_metrics(spread, contest.ours.split))
        tracker.set_tags(run_id, {"mlflow.note.content": shown, "retake.verdict": judgement.reason})
    log.info("%s", written)
    return tracker.run_url(run_id)


def _of_seed(plan: PlanResult, clips: Sequence[str], target: Target, vocabulary: Vocabulary, store: Store) -> tuple[SeedScore, Answers]:
    """Read how the network that this plan trained answers the deciding clips with an action.

    Raises:
        BadInput: it was scored on other clips than these.
    """
    results = evaluation_results(store, plan)
    result = next(result for result in results if (result.model, result.split) == ("fine-tuned", plan.decides_on))
    scored = predictions_of_actions(store, [result], result.split, vocabulary)["fine-tuned"]
    if list(scored.uids) != list(clips):
        raise BadInput(f"{result.predictions_uri}: seed {plan.train.seed} was scored on other clips than the registered network")
    answers = answers_of(scored, vocabulary)[target]
    return SeedScore(seed=plan.train.seed, run_key=plan.run_key, top1=float(answers.right.mean()), engine=result.engine.label), answers


def _spread_metrics(spread: SeedSpread, split: str) -> dict[str, float]:
    """Name the mean and the spread over seeds, as in `fine-tuned/val/action_top1_seed_sd`."""
    prefix = f"fine-tuned/{split}/{spread.difference.target}_top1_seed"
    return {
        f"{prefix}_mean": spread.mean_top1,
        f"{prefix}_sd": spread.top1_seed_sd,
        **{f"{prefix}_{score.seed}": score.top1 for score in spread.scores},
    }


def _gain_metrics(gains: Sequence[PairedDifference], split: str) -> dict[str, float]:
    """Name the gains and their intervals, as in `gain/val/action_top1_over_baseline`."""
    named = {f"gain/{split}/{d.target}_top1_over_{d.opponent}": d for d in gains}
    return {
        f"{name}{suffix}": value
        for name, d in named.items()
        for suffix, value in (("", d.difference), ("_low", d.interval[0]), ("_high", d.interval[1]))
    }
