"""Sets the fine-tuned network beside what it must beat: the original's three tables, a picture, and the decision."""

import tempfile
from pathlib import Path

from tasks.evaluation.comparison import headline, markdown, text
from tasks.evaluation.decision import contenders, decide
from tasks.evaluation.figures.bars import comparison_figure
from tasks.options import StoreUri
from tasks.results.evaluation import CompareResult, EvaluateResult
from tasks.results.record import TARGETS
from tasks.results.training import PlanResult
from tasks.settings import MlflowSettings, load
from tasks.steps._step import StepArguments, finish, finished, log, result_uri
from tasks.steps._tracked import tracked_run
from tasks.storage import Store
from tasks.tracking import Tracker


class Arguments(StepArguments):
    """The plan whose evaluations are compared."""

    plan: StoreUri


def run(arguments: Arguments, store: Store) -> CompareResult:
    """Write the tables to the store and to MLflow, and say whether the fine-tuned network wins."""
    plan = store.read(result_uri(arguments.plan), PlanResult)
    champion_version = plan.champion.version if plan.champion else None
    earlier = finished(store, arguments.out, CompareResult)
    if earlier and earlier.champion_version == champion_version:
        log.info("%s", store.read_bytes(f"{arguments.out}comparison.txt").decode())
        return earlier
    tracker = Tracker.from_settings(load(MlflowSettings))
    results = [store.read(result_uri(evaluation.out), EvaluateResult) for evaluation in plan.evaluations]
    baseline = plan.weights.description
    files = {
        "comparison.md": markdown(results, baseline).encode(),
        "comparison.txt": text(results, baseline).encode(),
        "comparison.png": comparison_figure(results, f"{plan.run_key}: what the fine-tuning changed"),
    }
    decision = decide(*contenders(results))
    with tracked_run(tracker, plan) as run_id, tempfile.TemporaryDirectory(prefix="retake-compare-") as folder:
        for name, data in files.items():
            store.write_bytes(f"{arguments.out}{name}", data)
            (Path(folder) / name).write_bytes(data)
        tracker.log_artifacts(run_id, Path(folder))
        tracker.log_metrics(run_id, _gains(results))
        tracker.set_tags(run_id, {"mlflow.note.content": files["comparison.md"].decode(), "retake.decision": decision.reason})
    log.info("%s\n\n%s", headline(results), files["comparison.txt"].decode())
    log.info("decision: %s: %s", "promote" if decision.promote else "do not promote", decision.reason)
    result = CompareResult(
        split=decision.split,
        table_uri=f"{arguments.out}comparison.md",
        opponent=decision.opponent,
        champion_version=champion_version,
        opponent_top1=decision.opponent_top1,
        challenger_top1=decision.challenger_top1,
        promote=decision.promote,
        reason=decision.reason,
        mlflow_run_url=tracker.run_url(run_id),
    )
    return finish(store, arguments.out, result)


def _gains(results: list[EvaluateResult]) -> dict[str, float]:
    ours, theirs = contenders(results)
    return {f"gain/{ours.split}/{target}_top1": getattr(ours, target).top1 - getattr(theirs, target).top1 for target in TARGETS}
