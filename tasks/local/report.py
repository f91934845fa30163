"""Report a finished chain of runs: files set aside, the table, the decision."""

from collections.abc import Iterator, Mapping, Sequence

from tasks.errors import MissingObject
from tasks.judge.gate.facts import facts_of
from tasks.local.airflow_api import AirflowApi
from tasks.local.choices import Choices
from tasks.local.follow import FollowedRun, Screen, follow_run
from tasks.options import IngestOptions
from tasks.report_steps import Facts, report_steps
from tasks.settings import label_url, training_page
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetResult, LabelResult
from tasks.store.records.evaluation import CompareResult, DecideResult, ReportResult
from tasks.store.records.metrics import Metrics
from tasks.store.records.record import SetAside
from tasks.store.records.video import IngestResult, SummaryResult
from tasks.store.runs import Comparing, Decision, find_decision
from tasks.wording import count

REMEDY = (
    "to use them, label them on the page Label, name their folders by label, such as 'put meat' or 'wave', or add a CSV: docs/labels.md"
)

Ending = CompareResult | DecideResult | ReportResult

_ENDINGS: Mapping[str, type[Ending]] = {"compare": CompareResult, "decide": DecideResult, "report": ReportResult}
"""The steps whose results are reported at the end of a run, in this order."""


def report(api: AirflowApi, store: Store, store_uri: str, followed: Sequence[FollowedRun]) -> Iterator[str]:
    """Yield the lines of the report on runs of the store `store_uri`; the table is one text of several lines."""
    yield from _ingest_lines(api, followed[0])
    for run in followed:
        yield from _label_lines(api, run)
        if (dataset := _result(api, run, "dataset")) is not None:
            yield from DatasetResult.model_validate(dataset).warnings
    yield from _retrain_lines(api, store, followed[-1])
    yield from _next_lines(api, store, store_uri, followed)


def follow_ingest(api: AirflowApi, choices: Choices, screen: Screen) -> None:
    """Run `ingest_videos` to its end, and say how to go on; errors are those of `follow_run`."""
    run = follow_run(api, api.trigger("ingest_videos", choices.conf("ingest_videos")), screen, [])
    screen.close()
    for line in ingested(api, run, choices.store):
        screen.say(line)


def ingested(api: AirflowApi, run: FollowedRun, store_uri: str) -> Iterator[str]:
    """Yield the lines of an ingest alone; the last names the page Label."""
    yield from list(_ingest_lines(api, run)) or ["nothing new"]
    url = label_url(api.task_page(run.ref, run.tasks[0]), uri=store_uri)
    num_new = IngestOptions().min_new_labels
    yield f"label the clips without a label: {url}; {num_new} new labels, or Build dataset there, start build_dataset and retrain"


def _ingest_lines(api: AirflowApi, run: FollowedRun) -> Iterator[str]:
    if (summary := _result(api, run, "summarise")) is not None:
        summed = SummaryResult.model_validate(summary)
        yield f"{summed.in_words}; {count(summed.num_clips, 'clip')}"
        yield from _listed("set aside", summed.num_set_aside, summed.first_set_aside, "summarise")
        yield from _listed("warnings", summed.num_warnings, summed.first_warnings, "summarise")
    elif (ingest := _result(api, run, "ingest")) is not None:
        yield "no new video"
        taken = IngestResult.model_validate(ingest)
        yield from _listed("set aside", taken.num_set_aside, taken.first_set_aside, "ingest")


def _label_lines(api: AirflowApi, run: FollowedRun) -> Iterator[str]:
    labels = _result(api, run, "label")
    if labels is None:
        return
    labelled = LabelResult.model_validate(labels)
    new = [
        SetAside(name=f"{folder.folder}/", reason=f"{folder.reading}, {count(folder.num_clips, 'clip')}")
        for folder in labelled.first_new_folders
    ]
    yield from _listed("folders with new words that were read as labels", labelled.num_new_folders, new, "label")
    yield from _listed("recordings of several files", labelled.num_recordings, labelled.first_recordings, "label")
    yield from labelled.first_hints
    first = [SetAside(name=problem.place, reason=problem.reason) for problem in labelled.first_problems]
    yield from _listed("labels rejected", labelled.num_problems, first, "label")
    if labelled.num_labelled < labelled.num_clips:
        yield f"{labelled.num_clips - labelled.num_labelled} of {labelled.num_clips} clips have no label and are left out"
        yield from _items(labelled.num_left_out, labelled.first_left_out, "label")
        yield REMEDY


def _retrain_lines(api: AirflowApi, store: Store, run: FollowedRun) -> Iterator[str]:
    # A skipped `weights` skips `plan`, too, which then has no log.
    skipped = [task for step in ("weights", "plan") if (task := run.first(step)) and task.state == "skipped"]
    if skipped:
        lines = api.log_lines(run.ref, skipped[0])
        note = next(
            (line for line in reversed(lines) if line.startswith("NothingToDo")), "this dataset and these options were trained before"
        )
        yield f"nothing was trained: {note.removeprefix('NothingToDo: ')}"
        if decision := find_decision(note):
            yield from _earlier(store, decision)
        return
    weights = _result(api, run, "weights")
    if weights is not None and weights.get("chosen"):
        yield str(weights["chosen"])
    for step, model in _ENDINGS.items():
        if (result := _result(api, run, step)) is not None:
            yield from _lines(store, model.model_validate(result))
    if (curve := run.first("learning_curve")) and curve.state == "success":
        yield "the learning curve is being drawn, and joins the report; `make status` shows it, `make cancel` ends it"


def _next_lines(api: AirflowApi, store: Store, store_uri: str, followed: Sequence[FollowedRun]) -> Iterator[str]:
    last = followed[-1]
    reported, decided = (_result(api, last, step) for step in ("report", "decide"))
    labels = [LabelResult.model_validate(result) for run in followed if (result := _result(api, run, "label"))]
    num_unlabelled = sum(result.num_clips - result.num_labelled for result in labels[-1:])
    if last.lacks_labels:
        yield "nothing was trained: no clip has a label"
        page = label_url(api.task_page(last.ref, last.tasks[0]), uri=store_uri)
        facts = Facts(num_unlabelled=num_unlabelled, label_url=page)
    elif reported is not None:
        has_champion = decided is not None and DecideResult.model_validate(decided).champion is not None
        facts = facts_of(store.read(ReportResult.model_validate(reported).metrics_uri, Metrics), has_champion=has_champion)
    else:
        return
    yield "next:"
    for step in report_steps(facts):
        yield f"  {step.text} {step.url}".rstrip()


def _earlier(store: Store, decision: Decision) -> Iterator[str]:
    try:
        results: list[Ending] = [store.read(decision.compare), store.read(decision.decide), store.read(decision.report)]
    except MissingObject:
        yield f"its tables are no longer in the store ({decision.folder_uri})"
        return
    yield "the result of that earlier run:"
    for result in results:
        yield from _lines(store, result)


def _lines(store: Store, result: Ending) -> Iterator[str]:
    match result:
        case CompareResult():
            yield "\n\n" + store.read_bytes(Comparing.of(result).text).decode().strip() + "\n"
        case DecideResult():
            aliases = ", ".join(result.aliases) or "none"
            decided = f"promoted{', provisional champion' if result.provisional else ''}" if result.promoted else "not promoted"
            yield f"decision: {decided}: {result.reason}"
            yield f"model models:/{result.model_name}/{result.version}, aliases {aliases}: {training_page(result.mlflow_run_url)}"
        case ReportResult():
            yield f"report: {result.report_url}"


def _listed(title: str, number: int, first: Sequence[SetAside], step: str) -> Iterator[str]:
    if number:
        yield f"{title}: {number}"
    yield from _items(number, first, step)


def _items(number: int, first: Sequence[SetAside], step: str) -> Iterator[str]:
    for item in first:
        yield f"  {item.name}: {item.reason}"
    if number > len(first):
        yield f"  and {number - len(first)} more; the log of `{step}` lists all"


def _result(api: AirflowApi, run: FollowedRun, step: str) -> dict[str, object] | None:
    task = run.first(step)
    return api.result(run.ref, task) if task is not None else None
