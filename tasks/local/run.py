"""Run DAGs on the local servers, report finished chains, and list runs at work."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from tasks.data.clips.label_inputs import read_log
from tasks.data.labels.ledger import Ledger
from tasks.errors import BadInput, MissingObject
from tasks.judge.gate.verdict import facts_of
from tasks.learn.gpus import num_gpus
from tasks.local import supervise
from tasks.local.airflow_api import ActiveRun, AirflowApi
from tasks.local.choices import SAMPLE_OPTIONS, SAMPLE_STORE, SAMPLES, Choices, check_source, parse
from tasks.local.follow import POLL_SECONDS, FollowedRun, Screen, clock, follow_chain, follow_run, screen_for, shown, wait_for_dags
from tasks.local.home_folder import ADMINISTRATOR, REPOSITORY, Credentials, Home, Person
from tasks.local.servers import Server, passwords_file, store_settings
from tasks.loop.next_steps import Live, next_steps, sentence
from tasks.loop.page_answers import page_answers
from tasks.loop.summary import main_model, read_status
from tasks.options import IngestOptions
from tasks.report_next_steps import Facts, report_steps
from tasks.settings import MlflowSettings, label_url, training_page, training_pages
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetResult, LabelResult
from tasks.store.records.decisions import ChampionMove, CompareResult, DecideResult, ReportResult
from tasks.store.records.metrics import Metrics
from tasks.store.records.record import SetAside, now_utc
from tasks.store.records.video import IngestResult, SummaryResult
from tasks.store.run_layout import Comparing, Decision, find_decision
from tasks.wording import count, count_with_verb, duration

OWN_STORE = "s3://retake"
LONG_VIDEO = Path(__file__).with_name("long_video")
"""A video for the network of the samples to predict, with a table of when what happens. It is not trained on."""
STORE_SETTINGS = 'eval "$(.venv/bin/python -m tasks.local env)"'
"""Sets what steps at a shell need to reach the local servers."""
_QUIET_SECONDS = 5.0
"""A cancel is done after this long without a run at work: Airflow starts those that an asset's update causes only after a while."""
REMEDY = (
    "to use them, label them on the page Label, name their folders by label, such as 'put meat' or 'wave', or add a CSV: docs/labels.md"
)

Ending = CompareResult | DecideResult | ReportResult

_ENDINGS: Mapping[str, type[Ending]] = {"compare": CompareResult, "decide": DecideResult, "report": ReportResult}
"""The steps whose results are reported at the end of a run, in this order."""


def run(home: Home, videos: str | None, option_pairs: Sequence[str]) -> int:
    """Run the chain on a folder or on the samples; return the exit code.

    Raises:
        RetakeError: a server does not start, an option is wrong, or the folder has no videos.
    """
    begun = time.monotonic()
    screen = screen_for(sys.stdout)
    chosen = parse(option_pairs)
    source = check_source(videos or str(SAMPLES))
    choices = Choices(store=OWN_STORE if videos else SAMPLE_STORE, sources=[source], options=chosen if videos else SAMPLE_OPTIONS | chosen)

    def follow(servers: Sequence[Server], api: AirflowApi) -> None:
        screen.say(f"running the DAGs on {source}; their store is {choices.store}")
        followed = follow_chain(api, choices, screen)
        screen.close()
        for line in report(api, open_store(home, servers), choices.store, followed):
            screen.say(line)

    code = _on_servers(home, screen, follow)
    if not code and not videos:
        screen.say(f"when do actions happen in a long video? This tells, and how well it tells it:\n{predict_long_video(choices)}")
    screen.say(f"{'FAILED' if code else 'done'} after {clock(time.monotonic() - begun)}; the servers stay up until `make stop`")
    return code


def predict_long_video(choices: Choices) -> str:
    """Write the commands that predict the long video by the network that was trained last."""
    options = f"--model models:/{choices.options['model_name']}@challenger --stride-seconds 2 --to ~/predicted"
    return f"""  {STORE_SETTINGS}
  .venv/bin/python -m tasks predict {LONG_VIDEO.relative_to(REPOSITORY)} {options}"""


def ingest_folder(home: Home, videos: str, option_pairs: Sequence[str]) -> int:
    """Start the servers and ingest one folder; Airflow starts the DAGs that follow."""
    screen = screen_for(sys.stdout)
    options = parse(option_pairs)
    choices = Choices(store=OWN_STORE, sources=[check_source(videos)], options=options)
    return _on_servers(home, screen, lambda _, api: follow_ingest(api, choices, screen))


def _on_servers(home: Home, screen: Screen, work: Callable[[Sequence[Server], AirflowApi], None]) -> int:
    """Start the servers, do `work`, show how it ends, and return the exit code."""
    with home.lock():
        servers = supervise.up(home, screen.say)
        with ready_airflow(home, servers) as api:
            code = shown(screen, lambda: work(servers, api))
    say_where(home, servers, screen)
    return code


@contextmanager
def ready_airflow(home: Home, servers: Sequence[Server]) -> Iterator[AirflowApi]:
    """Yield a client of the local Airflow, with the pools created and the DAGs parsed."""
    airflow = next(server for server in servers if server.name == "airflow")
    with AirflowApi(airflow.address, Credentials.load(home).airflow_password) as api:
        api.ensure_pool("gpu", max(1, num_gpus()), "One slot per GPU, or one without a GPU")
        api.ensure_pool("prediction", 1, "Predictions without a GPU")
        wait_for_dags(api)
        yield api


def cancel(api: AirflowApi, screen: Screen) -> None:
    """End all unfinished runs, and those that start meanwhile from an ended one's assets."""
    ended: set[tuple[str, str]] = set()
    deadline = time.monotonic() + _QUIET_SECONDS
    while time.monotonic() < deadline:
        for at_work in api.active_runs():
            if (at_work.dag_id, at_work.run_id) not in ended:
                api.end(at_work)
                ended.add((at_work.dag_id, at_work.run_id))
                screen.say(f"ended {at_work.dag_id}, run {at_work.run_id}")
                deadline = time.monotonic() + _QUIET_SECONDS
        if not ended:
            screen.say("no run is unfinished")
            return
        time.sleep(POLL_SECONDS)
    screen.say(
        "to go on, start the same again, or clear the red task in Airflow: finished steps are kept, a training resumes after its last epoch"
    )


def end_tracked(mlflow: str, airflow: str) -> None:
    """End the runs of MLflow that steps of this Airflow left at work."""
    from tasks.tracking import Tracker, end_all  # here alone: MLflow takes seconds to import

    end_all(Tracker(MlflowSettings(uri=mlflow, public_uri=None)), airflow)


def state_of(api: AirflowApi, store: Store, known: Mapping[str, Person]) -> Iterator[str]:
    """List the loop's runs, latest datasets, champions and users, in lines."""
    runs = api.active_runs()
    yield from map(partial(_run_line, api), runs) if runs else ("no run is unfinished",)
    for uri in (OWN_STORE, SAMPLE_STORE):
        yield from (f"{uri}: {line}" for lines in (_loop_lines, _dataset_lines, _champion_lines) for line in lines(store, uri))
    yield f"users: {', '.join([ADMINISTRATOR, *(f'{name} ({person.role})' for name, person in known.items())])}"


def _run_line(api: AirflowApi, active: ActiveRun) -> str:
    tasks = api.tasks(active)
    at_work = dict.fromkeys(task.step for task in tasks if task.state == "running")
    waiting = {task.step: task.pool for task in tasks if task.state == "scheduled" and task.pool != "default_pool"}
    steps = [*at_work, *(f"{step} waits until another step leaves its slot (pool {pool})" for step, pool in waiting.items())]
    return f"{active.dag_id}: {active.state} for {duration(round(active.age_seconds))}" + (f": {', '.join(steps)}" if steps else "")


def _loop_lines(store: Store, uri: str) -> Iterator[str]:
    now, status = now_utc(), read_status(store, uri, main_model(store, uri))
    if any((status.films, status.labels, status.dataset, status.model)):
        answers = page_answers(Ledger.of(read_log(store, uri)), status)
        first = next_steps(status, Live(now=now, answers=answers), str)[0].text
        yield sentence(status, now)
        yield f"next: {first} `{STORE_SETTINGS}; .venv/bin/python -m tasks status --store={uri}` says more"


def _dataset_lines(store: Store, uri: str) -> Iterator[str]:
    latest = Layout(uri).latest_dataset
    if store.exists(latest.uri):
        dataset = store.read(latest)
        splits = ", ".join(f"{split} {number}" for split, number in dataset.num_clips.items())
        yield f"{count(sum(dataset.num_clips.values()), 'clip')} in the latest dataset, {dataset.digest} ({splits})"


def _champion_lines(store: Store, uri: str) -> Iterator[str]:
    place = Layout(uri)
    latest: dict[str, int] = {}
    with suppress(BadInput):  # without a plan or a decision, or one that an older Retake wrote
        plan = store.read(place.latest_plan)
        latest = {plan.model_name: store.read(Decision(plan.decision_uri).decide).version}
    for folder in store.folders(place.champions):
        decision = store.read(max(move.uri for move in store.list(folder)), ChampionMove).decision
        newer = latest.get(decision.model_name, decision.champion_after)
        yield (
            f"champion of {decision.model_name} is version {decision.champion_after}{', provisional' if decision.provisional else ''}"
            + (f"; the latest is version {newer}" if newer != decision.champion_after else "")
        )


def say_where(home: Home, servers: Sequence[Server], screen: Screen) -> None:
    """Print the addresses and the login of the UIs; the password only on a terminal."""
    address = {server.name: server.address for server in servers}
    password = f"password {Credentials.load(home).airflow_password}, " if sys.stdout.isatty() else "password "
    screen.say(f"Airflow  {address['airflow']}  user {ADMINISTRATOR}, {password}in {passwords_file(home)}")
    screen.say(f"MLflow   {training_pages(address['mlflow'])}  no password: it listens on this machine only")


def open_store(home: Home, servers: Sequence[Server]) -> Store:
    """Open the local object store."""
    return Store.from_settings(store_settings(Credentials.load(home), {server.name: server.ports for server in servers}))


def report(api: AirflowApi, store: Store, store_uri: str, followed: Sequence[FollowedRun]) -> Iterator[str]:
    """Yield the lines of the report on runs of `store_uri`; the table is one text."""
    yield from _ingest_lines(api, followed[0])
    for run in followed:
        yield from _label_lines(api, run)
        if (dataset := _result(api, run, "dataset")) is not None:
            yield from DatasetResult.model_validate(dataset).warnings
    yield from _retrain_lines(api, store, followed[-1])
    yield from _next_lines(api, store, store_uri, followed)


def follow_ingest(api: AirflowApi, choices: Choices, screen: Screen) -> None:
    """Run `ingest_videos` to its end, and say how to go on; raises as `follow_run`."""
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
        has_others = summed.num_unusable is not None and summed.num_set_aside > summed.num_unusable
        others = ", annotation files and videos that could not be cut included" if has_others else ""
        yield from _listed(f"set aside{others}", summed.num_set_aside, summed.first_set_aside, "summarise")
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
        yield f"{count_with_verb(labelled.num_clips - labelled.num_labelled, 'clip', 'has', 'have', of=labelled.num_clips)} no label; left out"
        yield from _items(labelled.num_left_out, labelled.first_left_out, "label")
        yield REMEDY


def _retrain_lines(api: AirflowApi, store: Store, run: FollowedRun) -> Iterator[str]:
    # A skipped `weights` skips `plan`, too, which then has no log.
    skipped = [task for step in ("weights", "plan") if (task := run.first(step)) and task.state == "skipped"]
    if skipped:
        lines = api.log_lines(run.ref, skipped[0])
        notes = (line for line in reversed(lines) if line.startswith("NothingToDo"))
        note = next(notes, "this dataset and these options were trained before")
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
    num_unlabelled = sum(result.num_clips - result.num_labelled - result.num_unsure for result in labels[-1:])
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
