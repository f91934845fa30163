"""Read the scores, answers and model card that a plan's steps wrote."""

from tasks.judge.statistics.metrics import with_actions
from tasks.judge.statistics.scores_file import from_parquet
from tasks.judge.statistics.scoring import ScoredClips
from tasks.store.objects import Store
from tasks.store.records.dataset import Vocabulary
from tasks.store.records.evaluation import EvaluateResult
from tasks.store.records.record import ModelRole, SplitName
from tasks.store.records.training import PlanResult
from tasks.store.runs import Decision, Scores


def evaluation_results(store: Store, plan: PlanResult) -> list[EvaluateResult]:
    """Read the scores of every evaluation of the plan, in its order."""
    return [store.read(Scores(evaluation.out)) for evaluation in plan.evaluations]


def predictions(store: Store, results: list[EvaluateResult], split: SplitName) -> dict[ModelRole, ScoredClips]:
    """Read each model's answers on the clips of `split`."""
    of_split = [result for result in results if result.split == split]
    return {result.model: from_parquet(store.read_bytes(result.predictions_uri), result.predictions_uri) for result in of_split}


def predictions_of_actions(
    store: Store, results: list[EvaluateResult], split: SplitName, vocabulary: Vocabulary
) -> dict[ModelRole, ScoredClips]:
    """Read each model's answers on the clips of `split` with an action, which alone count in comparisons."""
    return {model: with_actions(clips, vocabulary) for model, clips in predictions(store, results, split).items()}


def version_description(store: Store, plan: PlanResult) -> str:
    """Read the model card of the plan's report, as Markdown without its front matter."""
    reported = store.read(Decision(plan.decision_uri).report)
    card = store.read_bytes(reported.card_uri).decode()
    return card.removeprefix("---\n").partition("\n---\n")[2].lstrip()
