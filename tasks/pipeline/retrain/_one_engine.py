"""Let one engine score all networks of a plan, where each evaluation chooses by itself.

A network that fails the check of a fast engine falls back to a more exact one. What it is compared with then has to be scored by that one, too.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from tasks.learn.engines.choice import KINDS_IN_FLOAT32, Kind, Wanted, common_label
from tasks.store.objects import Store
from tasks.store.records.evaluation import EngineUsed, EvaluateResult
from tasks.store.records.record import IN_WORDS, ModelRole
from tasks.store.records.training import Evaluation, PlanResult
from tasks.store.runs import Decision, Scores
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
class Again:
    """Evaluations of one network that have to be repeated, and by which engine."""

    evaluations: list[Evaluation]
    choice: Choice


def choice_beside(plan: PlanResult, model: ModelRole, store: Store) -> Choice:
    """Choose the engine of a network to be scored: the one that others fell back to, if one did.

    The previous version decides nothing, so no other network follows it.
    """
    scored = [
        evaluation
        for evaluation in plan.evaluations
        if evaluation.model not in (model, "previous") and store.exists(Scores(evaluation.out).uri)
    ]
    others = list(_seeing(scored, store).values())
    if plan.evaluate.engine != "auto" or not any(other.engine.fallback_reason for other in others):
        return Choice(plan.evaluate.engine)
    return _common(others)


def scored_otherwise(plan: PlanResult, store: Store) -> Again | None:
    """Find a network that was scored by a coarser engine than another one.

    Only networks whose step has ended are looked at. The others look for themselves when they end.
    """
    ended = [
        evaluation
        for evaluation in plan.evaluations
        if evaluation.model != "previous" and store.exists(Decision(plan.decision_uri).evaluate(evaluation.model).uri)
    ]
    results = _seeing(ended, store)
    if plan.evaluate.engine != "auto" or not results:
        return None
    label = common_label({result.engine.label for result in results.values()})
    behind = [evaluation for evaluation, result in results.items() if result.engine.label != label]
    if not behind:
        return None
    return Again([evaluation for evaluation in behind if evaluation.model == behind[0].model], _common(list(results.values())))


def _seeing(evaluations: Sequence[Evaluation], store: Store) -> dict[Evaluation, EvaluateResult]:
    """Read the results, but for those of heads on features of sound, which run alike in every engine."""
    results = {evaluation: store.read(Scores(evaluation.out)) for evaluation in evaluations}
    return {evaluation: result for evaluation, result in results.items() if result.engine.has_backbone}


def _common(results: Sequence[EvaluateResult]) -> Choice:
    return common_choice([(IN_WORDS[result.model], result.engine) for result in results])


def common_choice(used: Sequence[tuple[str, EngineUsed]]) -> Choice:
    """Choose the engine that all these networks can use, with what decided that in words."""
    kind = KINDS_IN_FLOAT32.get(common_label({engine.label for _, engine in used}))
    if kind is None:
        return Choice("auto")
    by = dict.fromkeys(f"{network} by {engine.label}" for network, engine in used)
    return Choice(kind, f"one engine scores all networks of a run, of which {listed(list(by))} so far")
