"""Start the servers, run and show the DAG chain, and report its result.

`make run` calls it.
"""

import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from tasks.errors import BadInput
from tasks.learn.gpus import num_gpus
from tasks.local import airflow_settings, supervise
from tasks.local.airflow_api import ActiveRun, AirflowApi, RunRef
from tasks.local.choices import SAMPLE_OPTIONS, Choices, check_folder, parse
from tasks.local.follow import POLL_SECONDS, follow_chain, shown, wait_for_dags
from tasks.local.home import REPOSITORY, Credentials, Home
from tasks.local.people import Person
from tasks.local.progress import Screen, clock, screen_for
from tasks.local.report import follow_ingest, report
from tasks.local.servers import SAMPLE_STORE, Server, store_settings
from tasks.settings import MlflowSettings
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.decision import ChampionMove
from tasks.store.runs import Decision
from tasks.wording import count, duration

OWN_STORE = "s3://retake"
SAMPLES = Path(__file__).with_name("samples")
LONG_FILM = Path(__file__).with_name("long_film")
"""A film for the network of the samples to predict, with a table of when what happens. It is not trained on."""
_QUIET_SECONDS = 5.0
"""How long no run may be at work until a cancel is done: Airflow takes a while to start those that an asset's update causes."""


def run(home: Home, videos: Path | None, settings: Sequence[str]) -> int:
    """Run the chain on a folder or on the samples; return the exit code.

    Raises:
        RetakeError: a server does not start, an option is wrong, or the folder has no videos.
    """
    begun = time.monotonic()
    screen = screen_for(sys.stdout)
    chosen = parse(settings)
    folder = check_folder(videos or SAMPLES)
    choices = Choices(
        store=OWN_STORE if videos else SAMPLE_STORE,
        sources=[str(folder)],
        options=chosen if videos else SAMPLE_OPTIONS | chosen,
    )
    with home.lock():
        servers = supervise.up(home, screen.say)
        with ready_airflow(home, servers) as api:
            screen.say(f"running the DAGs on {folder}; their store is {choices.store}")
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


def ingest_folder(home: Home, videos: Path, settings: Sequence[str]) -> int:
    """Start the servers and ingest one folder; Airflow starts the DAGs that follow."""
    screen = screen_for(sys.stdout)
    options = parse(settings)
    choices = Choices(store=OWN_STORE, sources=[str(check_folder(videos))], options=options)
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
        for run in api.active_runs():
            if run not in ended:
                api.end(run)
                ended.append(run)
                screen.say(f"ended {run.dag_id}, run {run.run_id}")
                deadline = time.monotonic() + _QUIET_SECONDS
        if not ended:
            screen.say("no run is unfinished")
            return
        time.sleep(POLL_SECONDS)
    screen.say(
        "to go on, start the same again, or clear the red task in Airflow: finished steps are kept, a training resumes after its last epoch"
    )


def end_tracked(mlflow: str, airflow: str) -> None:
    """End the runs of MLflow that steps of this Airflow left at work.

    Those that had time to ended their own.
    """
    from tasks.tracking import Tracker, end_all  # here alone: MLflow takes seconds to import

    end_all(Tracker.from_settings(MlflowSettings(uri=mlflow, public_uri=None)), airflow)


def state_of(api: AirflowApi, store: Store, known: Mapping[str, Person]) -> Iterator[str]:
    """List the loop's runs, latest datasets, champions and users, in lines."""
    runs = api.runs_at_work()
    yield from map(partial(_run_line, api), runs) if runs else ("no run is unfinished",)
    for uri in (OWN_STORE, SAMPLE_STORE):
        place = Layout(uri)
        if store.exists(place.latest_dataset.uri):
            dataset = store.read(place.latest_dataset)
            splits = ", ".join(f"{split} {number}" for split, number in dataset.num_clips.items())
            yield f"{uri}: {count(sum(dataset.num_clips.values()), 'clip')} in the latest dataset, {dataset.digest} ({splits})"
        latest: dict[str, int] = {}
        with suppress(BadInput):  # without a plan or a decision, or one that an older Retake wrote
            plan = store.read(place.latest_plan)
            latest = {plan.model_name: store.read(Decision(plan.decision_uri).decide).version}
        for folder in store.folders(place.champions):
            decision = store.read(max(move.uri for move in store.list(folder)), ChampionMove).decision
            newer = latest.get(decision.model_name, decision.champion_after)
            yield (
                f"{uri}: champion of {decision.model_name} is version {decision.champion_after}{', provisional' if decision.provisional else ''}"
                + (f"; the latest is version {newer}" if newer != decision.champion_after else "")
            )
    yield f"users: {', '.join([airflow_settings.USER, *(f'{name} ({person.role})' for name, person in known.items())])}"


def _run_line(api: AirflowApi, run: ActiveRun) -> str:
    tasks = api.tasks(run.ref)
    at_work = dict.fromkeys(task.step for task in tasks if task.state == "running")
    waiting = {task.step: task.pool for task in tasks if task.state == "scheduled" and task.pool != "default_pool"}
    steps = [*at_work, *(f"{step} waits until another step leaves its slot (pool {pool})" for step, pool in waiting.items())]
    return f"{run.dag_id}: {run.state} for {duration(round(run.age_seconds))}" + (f": {', '.join(steps)}" if steps else "")


def say_where(home: Home, servers: Sequence[Server], screen: Screen) -> None:
    """Print the addresses and the login of the UIs; the password only on a terminal."""
    address = {server.name: server.address for server in servers}
    password = f"password {Credentials.load(home).airflow_password}, " if sys.stdout.isatty() else "password "
    screen.say(f"Airflow  {address['airflow']}  user {airflow_settings.USER}, {password}in {airflow_settings.passwords_file(home)}")
    screen.say(f"MLflow   {address['mlflow']}  no password: it listens on this machine only")


def _chain(home: Home, servers: Sequence[Server], api: AirflowApi, choices: Choices, screen: Screen) -> None:
    followed = follow_chain(api, choices, screen)
    screen.close()
    for line in report(api, open_store(home, servers), choices.store, followed):
        screen.say(line)


def open_store(home: Home, servers: Sequence[Server]) -> Store:
    """Open the local object store."""
    return Store.from_settings(store_settings(Credentials.load(home), {server.name: server.ports for server in servers}))
