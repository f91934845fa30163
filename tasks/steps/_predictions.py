"""What the networks of a plan answered, as their evaluations left it in the store."""

from tasks.evaluation.scores_file import from_parquet
from tasks.evaluation.scoring import ScoredClips
from tasks.results.evaluation import EvaluateResult
from tasks.results.record import ModelRole, SplitName
from tasks.results.training import PlanResult
from tasks.steps._step import result_uri
from tasks.storage import Store


def evaluation_results(store: Store, plan: PlanResult) -> list[EvaluateResult]:
    """The scores of every evaluation of the plan, in its order."""
    return [store.read(result_uri(evaluation.out), EvaluateResult) for evaluation in plan.evaluations]


def predictions(store: Store, results: list[EvaluateResult], split: SplitName) -> dict[ModelRole, ScoredClips]:
    """By model, what it answered on the clips of `split`."""
    found = [result for result in results if result.split == split]
    return {result.model: from_parquet(store.read_bytes(result.predictions_uri), result.predictions_uri) for result in found}
