"""Run DAGs on the local servers, and say what these are at.

`make run`, `make ingest-folder`, `make status` and `make cancel` call it.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from tasks.errors import BadInput
from tasks.learn.gpus import num_gpus
from tasks.local import supervise
from tasks.local.airflow_api import ActiveRun, AirflowApi, RunRef
from tasks.local.choices import SAMPLE_OPTIONS, SAMPLE_STORE, SAMPLES, Choices, check_source, parse
from tasks.local.follow import POLL_SECONDS, Screen, clock, follow_chain, screen_for, shown, wait_for_dags
from tasks.local.home import ADMINISTRATOR, REPOSITORY, Credentials, Home, Person
from tasks.local.report import follow_ingest, report
from tasks.local.servers import Server, passwords_file, store_settings
from tasks.loop.advice import Live, next_steps, sentence
from tasks.loop.summary import main_model, read_status
from tasks.settings import MlflowSettings, training_pages
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.evaluation import ChampionMove
from tasks.store.records.record import now_utc
from tasks.store.runs import Decision
from tasks.wording import count, duration

OWN_STORE = "s3://retake"
LONG_FILM = Path(__file__).with_name("long_film")
"""A film for the network of the samples to predict, with a table of when what happens. It is not trained on."""
_QUIET_SECONDS = 5.0
"""How long no run may be at work until a cancel is done: Airflow takes a while to start those that an asset's update causes."""


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
    with home.lock():
        servers = supervise.up(home, screen.say)
        with ready_airflow(home, servers) as api:
            screen.say(f"running the DAGs on {source}; their store is {choices.store}")
            code = shown(screen, lambda: _chain(home, servers, api, choices, screen))
    say_where(home, servers, screen)
    if not code and not videos:
        screen.say(f"when do actions happen in a long film? This tells, and how well it tells it:\n{predict_long_film(choices)}")
    screen.say(f"{'FAILED' if code else 'done'} after {clock(time.monotonic() - begun)}; the servers stay up until `make stop`")
    return code


def predict_long_film(choices: Choices) -> str:
    """Write the commands that predict the long film by the network that was trained last."""
    options = f"--model models:/{choices.options['model_name']}@challenger --stride-seconds 2 --to ~/predicted"
    return f"""  eval "$(.venv/bin/python -m tasks.local env)"
  .venv/bin/python -m tasks predict {LONG_FILM.relative_to(REPOSITORY)} {options}"""


def ingest_folder(home: Home, videos: str, option_pairs: Sequence[str]) -> int:
    """Start the servers and ingest one folder; Airflow starts the DAGs that follow."""
    screen = screen_for(sys.stdout)
    options = parse(option_pairs)
    choices = Choices(store=OWN_STORE, sources=[check_source(videos)], options=options)
    with home.lock():
        servers = supervise.up(home, screen.say)
        with ready_airflow(home, servers) as api:
            code = shown(screen, lambda: follow_ingest(api, choices, screen))
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
    """End all unfinished runs, and those that start meanwhile because an ended one has updated an asset."""
    ended: list[RunRef] = []
    deadline = time.monotonic() + _QUIET_SECONDS
    while time.monotonic() < deadline:
        for at_work in api.active_runs():
            if at_work not in ended:
                api.end(at_work)
                ended.append(at_work)
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
    runs = api.runs_at_work()
    yield from map(partial(_run_line, api), runs) if runs else ("no run is unfinished",)
    for uri in (OWN_STORE, SAMPLE_STORE):
        yield from (f"{uri}: {line}" for lines in (_loop_lines, _dataset_lines, _champion_lines) for line in lines(store, uri))
    yield f"users: {', '.join([ADMINISTRATOR, *(f'{name} ({person.role})' for name, person in known.items())])}"


def _run_line(api: AirflowApi, active: ActiveRun) -> str:
    tasks = api.tasks(active.ref)
    at_work = dict.fromkeys(task.step for task in tasks if task.state == "running")
    waiting = {task.step: task.pool for task in tasks if task.state == "scheduled" and task.pool != "default_pool"}
    steps = [*at_work, *(f"{step} waits until another step leaves its slot (pool {pool})" for step, pool in waiting.items())]
    return f"{active.dag_id}: {active.state} for {duration(round(active.age_seconds))}" + (f": {', '.join(steps)}" if steps else "")


def _loop_lines(store: Store, uri: str) -> Iterator[str]:
    now, status = now_utc(), read_status(store, uri, main_model(store, uri))
    if any((status.films, status.labels, status.dataset, status.model)):
        yield sentence(status, now)
        yield f"next: {next_steps(status, Live(now=now), str)[0].text} `python -m tasks status --store={uri}` says more"


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


def _chain(home: Home, servers: Sequence[Server], api: AirflowApi, choices: Choices, screen: Screen) -> None:
    followed = follow_chain(api, choices, screen)
    screen.close()
    for line in report(api, open_store(home, servers), choices.store, followed):
        screen.say(line)


def open_store(home: Home, servers: Sequence[Server]) -> Store:
    """Open the local object store."""
    return Store.from_settings(store_settings(Credentials.load(home), {server.name: server.ports for server in servers}))
