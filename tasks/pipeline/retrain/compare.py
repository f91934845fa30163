"""Compare the new network with its opponents: three tables, paired differences, gate."""

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tasks.data.split.manifest import label_counts
from tasks.errors import BadInput
from tasks.judge.gate.gate import contenders, judge, scoreless_rules
from tasks.judge.gate.looks import spend
from tasks.judge.gate.verdict import spread_in_words
from tasks.judge.report.comparison_text import markdown, text
from tasks.judge.statistics.answers import Answers, answers_of
from tasks.judge.statistics.class_changes import class_outcomes
from tasks.judge.statistics.metrics import OPPONENTS, nameable_clips
from tasks.judge.statistics.paired import Opponent, differences, over_guessing
from tasks.judge.statistics.scoring import ScoredClips
from tasks.judge.statistics.seeds import recipe_difference
from tasks.judge.statistics.uncertainty import TAIL
from tasks.pipeline._plans import plans_with_repeats
from tasks.pipeline._results import finish, finished, log, write_files
from tasks.pipeline.retrain._evidence import evaluation_results, predictions_of_actions
from tasks.pipeline.retrain.contract import COMPARE, PlannedArguments
from tasks.settings import MlflowSettings, load
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.records.dataset import Vocabulary
from tasks.store.records.evaluation import CompareResult, PairedDifference, SeedScore, SeedSpread
from tasks.store.records.record import Target
from tasks.store.records.training import PlanResult
from tasks.store.stored import Output
from tasks.tracking import Tracker, tracked_run
from tasks.wording import count


def run(arguments: PlannedArguments, store: Store) -> CompareResult:
    """Write the tables to the store and to MLflow, and apply the gate's rules."""
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
    scored = predictions_of_actions(store, results, ours.split, manifest.vocabulary)
    opponents: dict[Opponent, ScoredClips] = {model: scored[model] for model in OPPONENTS if model in scored}
    log.info("resampling the answers to %s", count(len(scored["fine-tuned"].uids), "clip"))
    gains = differences(scored["fine-tuned"], opponents, manifest.vocabulary, num_resamples=plan.evaluate.bootstrap_resamples)
    here = [result for result in results if result.split == ours.split]
    nameable = nameable_clips(here, scored, manifest.vocabulary, num_resamples=plan.evaluate.bootstrap_resamples)
    decisive = next(d for d in gains if (d.target, d.opponent) == (ours.targets[-1], theirs.model))
    outcomes = class_outcomes(scored["fine-tuned"], scored[theirs.model], manifest.vocabulary)
    uids = frozenset(clip.uid for clip in manifest.clips if clip.split == ours.split and clip.has_action)
    others = answers_of(scored[theirs.model], manifest.vocabulary)[decisive.target]
    clips = scored["fine-tuned"].uids
    seeds = [_of_seed(seeded, clips, decisive.target, manifest.vocabulary, store) for seeded in plans_with_repeats(plan, store)]

    def gain_at(tail: float) -> PairedDifference:
        return recipe_difference(
            [answers for _, answers in seeds],
            others,
            scored["fine-tuned"].sources,
            opponent=decisive.opponent,
            num_resamples=plan.evaluate.bootstrap_resamples,
            tail=tail,
        )

    spread = SeedSpread(scores=tuple(score for score, _ in seeds), difference=gain_at(TAIL)) if plan.repeats else None
    scoreless = scoreless_rules(ours, theirs, plan.gate, plan.train.label_noise, spread)
    can_pass = plan.gate.promotion != "never" and all(rule.passed for rule in scoreless)
    attempt = spend(store, arguments.store, plan, uids, can_pass=can_pass)
    # Equal, so that a first decision is made by the very interval that is shown.
    attempt = attempt.model_copy(update={"interval": gain_at(TAIL if math.isclose(attempt.level, TAIL) else attempt.level).interval})
    acting = [clip for clip in manifest.clips if clip.split == "train" and clip.has_action]
    train_counts = label_counts(acting, ours.targets[-1:])
    decisive_answers = answers_of(scored["fine-tuned"], manifest.vocabulary)[ours.targets[-1]]
    guessing = over_guessing(decisive_answers, scored["fine-tuned"].sources, num_resamples=plan.evaluate.bootstrap_resamples)
    is_provisional = plan.champion is not None and plan.champion.provisional
    judgement = judge(
        ours,
        theirs,
        decisive,
        guessing,
        outcomes,
        plan.gate,
        attempt,
        plan.train.label_noise,
        train_counts,
        is_provisional=is_provisional,
        spread=spread,
    )
    baseline = plan.weights.description
    files = {
        place.table: markdown(
            results,
            ours,
            gains,
            judgement,
            baseline,
            nameable,
            plan.previous.version if plan.previous else None,
            val_chose=plan.val_chooses,
        ).encode(),
        place.text: text(results, ours, gains, judgement, baseline, nameable).encode(),
    }
    with tracked_run(tracker, plan) as run_id, tempfile.TemporaryDirectory(prefix="retake-compare-") as folder:
        write_files(store, place, files, Path(folder))
        tracker.log_artifacts(run_id, Path(folder))
        tracker.log_metrics(run_id, _gains(gains, ours.split))
        if spread:
            log.info("%s top-1 by seed: %s", decisive.target, spread_in_words(spread))
            tracker.log_metrics(run_id, _spread_metrics(spread, ours.split))
        tracker.set_tags(run_id, {"mlflow.note.content": files[place.table].decode(), "retake.verdict": judgement.reason})
    log.info("%s", files[place.text].decode())
    result = CompareResult(
        split=ours.split,
        table_uri=place.table,
        opponent=decisive.opponent,
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
    )
    return finish(store, place, result)


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


def _gains(gains: Sequence[PairedDifference], split: str) -> dict[str, float]:
    """Name the gains and their intervals, as in `gain/val/action_top1_over_baseline`."""
    named = {f"gain/{split}/{d.target}_top1_over_{d.opponent}": d for d in gains}
    return {
        f"{name}{suffix}": value
        for name, d in named.items()
        for suffix, value in (("", d.difference), ("_low", d.interval[0]), ("_high", d.interval[1]))
    }
