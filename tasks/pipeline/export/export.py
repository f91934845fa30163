"""Pack a registered model by one command: `python -m tasks export models:/retake-tsn@champion --to FOLDER`."""

from tasks.disk import expanded
from tasks.errors import RetakeError, Terminated
from tasks.options import ExportOptions
from tasks.pipeline._plans import run_of
from tasks.pipeline._results import log, make_folder, not_writable
from tasks.pipeline._trained import find_trained, plan_of, store_of
from tasks.pipeline.export._package import copy_package, pack
from tasks.pipeline.export.contract import ExportArguments
from tasks.pipeline.export.distil import distilled
from tasks.pipeline.retrain import report
from tasks.pipeline.retrain.contract import ReportArguments
from tasks.settings import MlflowSettings, load
from tasks.store.objects import Store
from tasks.store.records.export import ExportResult
from tasks.store.run_layout import Decision, Package
from tasks.tracking import Registry
from tasks.wording import duration, percent, percent_interval, signed, size


def run(arguments: ExportArguments, store: Store) -> ExportResult:
    """Make or find the package, copy it, and show it in the report.

    Raises:
        BadConfiguration: the folder holds other files, or cannot be written to, or the network cannot be packed so.
        BadInput: there is no such version, or its training is gone.
    """
    folder = expanded(arguments.to)
    make_folder(folder, is_empty=True)  # files of an earlier package would be taken for those of the new one
    name, version = Registry(load(MlflowSettings)).resolve(arguments.model)
    where = arguments.store or store_of(arguments.model)
    plan = plan_of(run_of(version, where), store)
    student = arguments.student and distilled(find_trained("model", arguments.model, where, store), arguments.student, where, store)
    result = pack(name, version, plan, arguments.picked(ExportOptions), store, student or None)
    try:
        copy_package(Package(result.export_uri), folder, store)
    except OSError as error:
        raise not_writable(folder, error) from None
    log.info("copied the package to %s", folder)
    decision = Decision(plan.decision_uri)
    if store.exists(decision.report.uri):
        _write_report_anew(decision, where, store)
    return result


def in_words(result: ExportResult, store: Store) -> list[str]:
    """Say how the package answers, how fast, and which precision was refused."""
    package = result.networks[0]
    lines = [f"{result.model_name} version {result.version} as {package.name}, {size(result.size_bytes)}; its check passed: {result.check}"]
    if result.refused:
        lines.append(result.refused)
    for network in result.networks:
        top1 = ", ".join(f"{s.target}s on {s.split} {percent(s.top1)} {percent_interval(s.top1_interval)}" for s in network.scores)
        costs = network.costs
        lines.append(f"  {network.name}: {top1}; {duration(costs.median_seconds)} a clip, {costs.clips_per_second:.1f} clips a second")
    for difference in result.differences:
        points = f"{signed(difference.difference)} points {percent_interval(difference.interval)}"
        lines.append(f"  {difference.target}s on {difference.split}, minus {difference.against}: {points}")
    return lines


def _write_report_anew(decision: Decision, where: str, store: Store) -> None:
    """Show the package in the report, or warn that it does not."""
    plan = decision.plan.folder_uri
    try:
        report.run(ReportArguments(store=where, plan=plan), store)
    except Terminated:
        raise
    # The package is whole without it, and a repetition would refuse its folder.
    except RetakeError as error:
        log.warning("the report does not show the package yet: %s; run `report --store %s --plan %s`", error, where, plan)
