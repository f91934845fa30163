"""Compare the new network with its opponents by paired differences, and apply the gate."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.data.split.manifest import label_counts
from tasks.errors import BadInput
from tasks.judge.gate.error_budget import spend
from tasks.judge.gate.gate import Judgement, contenders, judge, scoreless_rules
from tasks.judge.gate.verdict import spread_in_words
from tasks.judge.report.comparison_text import comparison_text, mlflow_note
from tasks.judge.statistics.answers import Answers, answers_of
from tasks.judge.statistics.metrics import OPPONENTS, class_outcomes, nameable_clips
from tasks.judge.statistics.paired import Opponent, differences, over_guessing, recipe_difference
from tasks.judge.statistics.scoring import ScoredClips
from tasks.judge.statistics.uncertainty import TAIL
from tasks.pipeline._plans import plans_with_repeats
from tasks.pipeline._results import earlier_result, finish, log, publish_files, with_limits
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
from tasks.tracking import Tracker, tracked_run
from tasks.wording import count


@dataclass(frozen=True)
class _Contest:
    """The new network and its opponent on the deciding clips with an action."""

    plan: PlanResult
    manifest: Manifest
    ours: EvaluateResult
    theirs: EvaluateResult
    scored: Mapping[ModelRole, ScoredClips]
    gain: PairedDifference
    seeds: Sequence[tuple[SeedScore, Answers]]

    def gain_at(self, tail: float) -> PairedDifference:
        """Compute the recipe's gain, with the interval that leaves out `tail` on each side."""
        return recipe_difference(
            [answers for _, answers in self.seeds],
            answers_of(self.scored[self.theirs.model], self.manifest.vocabulary)[self.gain.target],
            self.scored["fine-tuned"].sources,
            opponent=self.gain.opponent,
            num_resamples=self.plan.evaluate.bootstrap_resamples,
            tail=tail,
        )


def run(arguments: PlannedArguments, store: Store) -> CompareResult:
    """Write the comparison to the store and to MLflow, and apply the gate's rules."""
    place = COMPARE.address(arguments)
    if earlier := earlier_result(store, place):
        log.info("%s", store.read_bytes(place.text).decode())
        return earlier
    plan = store.read(arguments.planned)
    plan.gate.require_current("the decision")
    manifest = store.read(Dataset(plan.dataset_uri).manifest)
    tracker = Tracker(load(MlflowSettings))
    results = evaluation_results(store, plan)
    ours, theirs = contenders(results, plan.decides_on)
    scored = predictions_of_actions(store, results, ours.split, manifest.vocabulary)
    clips, num_resamples = scored["fine-tuned"], plan.evaluate.bootstrap_resamples
    log.info("resampling the answers to %s", count(len(clips.uids), "clip"))
    opponents: dict[Opponent, ScoredClips] = {model: scored[model] for model in OPPONENTS if model in scored}
    gains = differences(clips, opponents, manifest.vocabulary, num_resamples=num_resamples)
    results_of_split = [result for result in results if result.split == ours.split]
    nameable = nameable_clips(results_of_split, scored, manifest.vocabulary, num_resamples=num_resamples)
    deciding_gain = next(d for d in gains if (d.target, d.opponent) == (ours.targets[-1], theirs.model))
    seeds = [_of_seed(seeded, clips.uids, deciding_gain.target, manifest.vocabulary, store) for seeded in plans_with_repeats(plan, store)]
    contest = _Contest(plan, manifest, ours, theirs, scored, deciding_gain, seeds)
    spread = SeedSpread(scores=tuple(score for score, _ in seeds), difference=contest.gain_at(TAIL)) if plan.repeats else None
    attempt = _spend(contest, spread, arguments.store, store)
    judgement = _judge(contest, spread, attempt)
    written = comparison_text(results, ours, gains, judgement, plan.weights.description, nameable)
    with tracked_run(tracker, plan) as run_id:
        publish_files(store, place, {place.text: written.encode()}, tracker, run_id)
        named_gains = {f"gain/{ours.split}/{d.target}_top1_over_{d.opponent}": (d.difference, d.interval) for d in gains}
        tracker.log_metrics(run_id, with_limits(named_gains))
        if spread:
            log.info("%s top-1 by seed: %s", spread.difference.target, spread_in_words(spread))
            tracker.log_metrics(run_id, _spread_metrics(spread, ours.split))
        shown = mlflow_note(judgement, plan.weights.description, ours.split, val_chose=plan.val_chooses)
        tracker.set_tags(run_id, {"mlflow.note.content": shown, "retake.verdict": judgement.reason})
    log.info("%s", written)
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
        mlflow_run_url=tracker.run_url(run_id),
        attempt=attempt,
        provisional=judgement.provisional,
        spread=spread,
        consequence=judgement.consequence,
    )
    return finish(store, place, result)


def _spend(contest: _Contest, spread: SeedSpread | None, store_uri: str, store: Store) -> Attempt:
    """Spend this decision's share of the error budget; compute the gain's interval at its level."""
    plan, split = contest.plan, contest.ours.split
    scoreless = scoreless_rules(contest.ours, contest.theirs, plan.gate, plan.train.label_noise, spread)
    can_pass = plan.gate.promotion != "never" and all(rule.passed for rule in scoreless)
    deciding_uids = frozenset(clip.uid for clip in contest.manifest.clips if clip.split == split and clip.has_action)
    attempt = spend(store, store_uri, plan, deciding_uids, can_pass=can_pass)
    # `TAIL` itself, so that the deciding interval equals the shown 95 % one to the last digit.
    tail = TAIL if math.isclose(attempt.level, TAIL) else attempt.level
    return attempt.model_copy(update={"interval": contest.gain_at(tail).interval})


def _judge(contest: _Contest, spread: SeedSpread | None, attempt: Attempt) -> Judgement:
    plan, clips = contest.plan, contest.scored["fine-tuned"]
    return judge(
        contest.ours,
        contest.theirs,
        contest.gain,
        over_guessing(contest.seeds[0][1], clips.sources, num_resamples=plan.evaluate.bootstrap_resamples),
        class_outcomes(clips, contest.scored[contest.theirs.model], contest.manifest.vocabulary),
        plan.gate,
        attempt,
        plan.train.label_noise,
        label_counts([clip for clip in contest.manifest.clips if clip.split == "train" and clip.has_action], contest.ours.targets[-1:]),
        champion_is_provisional=plan.champion is not None and plan.champion.provisional,
        spread=spread,
    )


def _of_seed(plan: PlanResult, clips: Sequence[str], target: Target, vocabulary: Vocabulary, store: Store) -> tuple[SeedScore, Answers]:
    """Read how the network that this plan trained answers the deciding clips with an action."""
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
