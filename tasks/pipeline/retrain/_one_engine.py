"""Let one engine score all networks of a plan.

A network that fails the check of a fast engine falls back to a more exact one. What it is compared with then has to be scored by that engine, too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tasks.learn.engines.choice import KINDS_IN_FLOAT32, Kind, Wanted, common_label
from tasks.store.records.evaluation import EngineUsed
from tasks.store.records.record import IN_WORDS
from tasks.store.records.training import Evaluation, PlanResult
from tasks.wording import listed


@dataclass(frozen=True)
class Choice:
    """The engine to score a network by; `reason` says which others decided that, if they did."""

    engine: Wanted | Kind
    reason: str | None = None

    def noted(self, used: EngineUsed) -> EngineUsed:
        """Add the reason to those why a faster engine was not used."""
        reasons = list(filter(None, (self.reason, used.fallback_reason)))
        return used.model_copy(update={"fallback_reason": "; ".join(reasons) or None})


@dataclass(frozen=True)
class Scoring:
    """Evaluations of one network to make, its plan, and by which engine."""

    plan: PlanResult
    evaluations: list[Evaluation]
    choice: Choice


def next_scoring(plans: Sequence[PlanResult], used: Mapping[Evaluation, EngineUsed]) -> Scoring | None:
    """Find a network without a result, else one that was scored by a coarser engine than another network.

    `plans` are those of a recipe's seeds, and `used` the engines of the results that there are. The previous version decides nothing, so no
    other network follows it. Heads on features of sound run alike in every engine.
    """
    wanted = plans[0].evaluate.engine
    deciding = {
        evaluation: engine
        for evaluation, engine in used.items()
        if wanted == "auto" and evaluation.model != "previous" and engine.has_backbone
    }
    labels = {engine.label for engine in deciding.values()}
    planned = [(plan, evaluation) for plan in plans for evaluation in plan.evaluations]
    left = [(plan, evaluation) for plan, evaluation in planned if evaluation not in used]
    behind = left or [
        (plan, evaluation) for plan, evaluation in planned if evaluation in deciding and deciding[evaluation].label != common_label(labels)
    ]
    if not behind:
        return None
    follows = len(labels) > 1 or any(engine.fallback_reason for engine in deciding.values())
    choice = common_choice([(IN_WORDS[evaluation.model], engine) for evaluation, engine in deciding.items()]) if follows else Choice(wanted)
    next_plan, first = behind[0]
    return Scoring(next_plan, [evaluation for plan, evaluation in behind if plan is next_plan and evaluation.model == first.model], choice)


def common_choice(used: Sequence[tuple[str, EngineUsed]]) -> Choice:
    """Choose the engine that all these networks can use, with the reason in words."""
    kind = KINDS_IN_FLOAT32.get(common_label({engine.label for _, engine in used}))
    if kind is None:
        return Choice("auto")
    by = dict.fromkeys(f"{network} by {engine.label}" for network, engine in used)
    return Choice(kind, f"one engine scores all networks of a run: {listed(list(by))} so far")
