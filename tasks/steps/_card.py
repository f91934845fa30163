"""What MLflow shows of a version: the model card of the latest comparison, without its lines for machines."""

from tasks.results.evaluation import ReportResult
from tasks.results.training import PlanResult
from tasks.steps._step import result_uri
from tasks.storage import Store


def version_description(store: Store, plan: PlanResult) -> str:
    """The card that the plan's report left, as Markdown."""
    reported = store.read(result_uri(f"{plan.decision_uri}report/"), ReportResult)
    card = store.read_bytes(reported.card_uri).decode()
    return card.removeprefix("---\n").partition("\n---\n")[2].lstrip()
