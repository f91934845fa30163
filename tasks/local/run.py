"""Run the DAG chain on the local servers, and ingest a folder there or into the stack in containers.

`make run` and `make ingest-folder` call it.
"""

import hashlib
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from tasks.errors import BadConfiguration, BadInput
from tasks.learn.gpus import num_gpus
from tasks.local import supervise
from tasks.local.airflow_api import ActiveRun, AirflowApi, RunRef, is_healthy
from tasks.local.choices import SAMPLE_OPTIONS, SAMPLE_STORE, SAMPLES, Choices, check_source, parse
from tasks.local.follow import POLL_SECONDS, follow_chain, shown, wait_for_dags
from tasks.local.home import ADMINISTRATOR, REPOSITORY, Credentials, Home, Person
from tasks.local.progress import Screen, clock, screen_for
from tasks.local.report import follow_ingest, report
from tasks.local.servers import Server, passwords_file, store_settings
from tasks.loop.advice import Live, next_steps, sentence
from tasks.loop.summary import main_model, read_status
from tasks.settings import MlflowSettings, StoreSettings, load
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.evaluation import ChampionMove
from tasks.store.records.record import now_utc
from tasks.store.runs import Decision
from tasks.store.stored import Folder, bucket_uri, names_objects
from tasks.wording import count, duration

OWN_STORE = "s3://retake"
LONG_FILM = Path(__file__).with_name("long_film")
"""A film for the network of the samples to predict, with a table of when what happens. It is not trained on."""
_QUIET_SECONDS = 5.0
"""How long no run may be at work until a cancel is done: Airflow takes a while to start those that an asset's update causes."""


def run(home: Home, videos: str | None, settings: Sequence[str]) -> int:
    """Run the chain on a folder or on the samples; return the exit code.

    Raises:
        RetakeError: a server does not start, an option is wrong, or the folder has no videos.
    """
    begun = time.monotonic()
    screen = screen_for(sys.stdout)
    chosen = parse(settings)
    source = check_source(videos or str(SAMPLES))
    choices = Choices(
        store=OWN_STORE if videos else SAMPLE_STORE,
        sources=[source],
        options=chosen if videos else SAMPLE_OPTIONS | chosen,
    )
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


def ingest_folder(home: Home, videos: str, settings: Sequence[str]) -> int:
    """Start the servers and ingest one folder; Airflow starts the DAGs that follow."""
    screen = screen_for(sys.stdout)
    options = parse(settings)
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
    """End the runs of MLflow that steps of this Airflow left at work."""
    from tasks.tracking import Tracker, end_all  # here alone: MLflow takes seconds to import

    end_all(Tracker(MlflowSettings(uri=mlflow, public_uri=None)), airflow)


def state_of(api: AirflowApi, store: Store, known: Mapping[str, Person]) -> Iterator[str]:
    """List the loop's runs, latest datasets, champions and users, in lines."""
    runs = api.runs_at_work()
    yield from map(partial(_run_line, api), runs) if runs else ("no run is unfinished",)
    for uri in (OWN_STORE, SAMPLE_STORE):
        place = Layout(uri)
        now, status = now_utc(), read_status(store, uri, main_model(store, uri))
        if any((status.films, status.labels, status.dataset, status.model)):
            yield f"{uri}: {sentence(status, now)}"
            yield f"{uri}: next: {next_steps(status, Live(now=now), str)[0].text} `python -m tasks status --store={uri}` says more"
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
    yield f"users: {', '.join([ADMINISTRATOR, *(f'{name} ({person.role})' for name, person in known.items())])}"


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
    screen.say(f"Airflow  {address['airflow']}  user {ADMINISTRATOR}, {password}in {passwords_file(home)}")
    screen.say(f"MLflow   {address['mlflow']}  no password: it listens on this machine only")


def _chain(home: Home, servers: Sequence[Server], api: AirflowApi, choices: Choices, screen: Screen) -> None:
    followed = follow_chain(api, choices, screen)
    screen.close()
    for line in report(api, open_store(home, servers), choices.store, followed):
        screen.say(line)


def open_store(home: Home, servers: Sequence[Server]) -> Store:
    """Open the local object store."""
    return Store.from_settings(store_settings(Credentials.load(home), {server.name: server.ports for server in servers}))


ENV_FILE = REPOSITORY / ".env"
STACK_STORE = "minio:9000"
"""The address of the stack's own store inside its network. On this machine it is at its published port."""


class StackSettings(BaseSettings):
    """The stack's settings in `.env`; the environment overrides the file, as in Compose."""

    model_config = SettingsConfigDict(env_prefix="RETAKE_", env_file=ENV_FILE, env_ignore_empty=True, extra="ignore")

    bind: str = Field("127.0.0.1", description="address that the ports are published on")
    airflow_port: int = 8080
    airflow_password: SecretStr
    mlflow_port: int = 5000
    bucket: str = "retake"
    store_port: int = 9000
    store_endpoint: str = STACK_STORE
    store_secure: bool = False
    store_region: str = "us-east-1"
    store_steps_access_key: SecretStr
    store_steps_secret_key: SecretStr

    @property
    def host(self) -> str:
        """Return the host of its ports on this machine."""
        return "127.0.0.1" if self.bind in ("", "0.0.0.0") else self.bind  # noqa: S104 - compared, not listened on

    @property
    def airflow_address(self) -> str:
        """Return the address of its Airflow."""
        return f"http://{self.host}:{self.airflow_port}"

    @property
    def store_address(self) -> str:
        """Return host:port of its store."""
        return f"{self.host}:{self.store_port}" if self.store_endpoint == STACK_STORE else self.store_endpoint

    def airflow(self) -> AirflowApi:
        """Make a client of its Airflow."""
        return AirflowApi(self.airflow_address, self.airflow_password.get_secret_value())

    def store(self) -> Store:
        """Open its store, with the keys of steps."""
        return Store.from_settings(
            StoreSettings(
                endpoint=self.store_address,
                access_key=self.store_steps_access_key,
                secret_key=self.store_steps_secret_key,
                secure=self.store_secure,
                region=self.store_region,
            )
        )


def find_stack() -> StackSettings | None:
    """Find the stack: its Airflow, not one of `make run` on the same port, accepts the password."""
    if not ENV_FILE.exists():
        return None
    settings = load(StackSettings)
    if not is_healthy(settings.airflow_address):
        return None
    with settings.airflow() as api:
        try:
            api.dag_ids()
        except BadConfiguration:
            return None
    return settings


def ingest_into_stack(stack: StackSettings, videos: str, pairs: Sequence[str]) -> int:
    """Upload one folder to the store's inbox and ingest it; a pattern of a bucket needs no upload.

    Raises:
        RetakeError: an option is wrong, the folder has no file, or the store or Airflow does not answer.
    """
    options = parse(pairs)
    source = check_source(videos)
    store_uri = bucket_uri(stack.bucket)
    screen = screen_for(sys.stdout)
    if not (in_bucket := names_objects(source)):
        folder = Path(source)
        place = Layout(store_uri).uploaded(folder.name)
        num_uploaded, num_kept = upload(stack.store(), folder, place, screen)
        screen.say(f"{count(num_kept, 'file')} in {place.folder_uri}, {num_uploaded:,} of them new")
    with stack.airflow() as api:
        wait_for_dags(api)
        code = shown(
            screen, lambda: follow_ingest(api, Choices(store=store_uri, sources=[source] if in_bucket else [], options=options), screen)
        )
    screen.say(f"Airflow  {stack.airflow_address}  user admin, password RETAKE_AIRFLOW_PASSWORD in {ENV_FILE}")
    screen.say(f"MLflow   http://{stack.host}:{stack.mlflow_port}  user admin, password RETAKE_MLFLOW_PASSWORD in {ENV_FILE}")
    return code


def upload(store: Store, folder: Path, place: Folder, screen: Screen) -> tuple[int, int]:
    """Upload every file of `folder` to its path in `place`, and skip those already there.

    A file that cannot be uploaded is reported and left out.

    Returns:
        Number of uploaded files, and of all files there.
    """
    paths = ((path, any(part.startswith(".") for part in path.relative_to(folder).parts)) for path in folder.rglob("*"))
    files = sorted(path for path, is_hidden in paths if not is_hidden and (path.is_symlink() or not path.is_dir()))
    present = {listed.uri: listed.etag for listed in store.list(place.folder_uri)}
    num_uploaded = num_kept = 0
    for number, path in enumerate(files, 1):
        name = os.fsencode(path.relative_to(folder)).decode(errors="replace")
        uri = place.file(name)
        try:
            _check_file(path, folder)
            if present.get(uri) != _md5(path):
                store.write_file(uri, path)
                num_uploaded += 1
                screen.say(f"uploaded {number} of {len(files)}: {name}")
            num_kept += 1
        except (BadInput, OSError) as error:
            screen.say(f"left out: {name}: {error}")
    return num_uploaded, num_kept


def _check_file(path: Path, folder: Path) -> None:
    if not path.resolve().is_relative_to(folder.resolve()):
        raise BadInput(f"a link that leads out of {folder}; copy its target there")
    if not path.is_file():
        raise BadInput("a device, a pipe or a folder, not a regular file")


def _md5(path: Path) -> str:
    """Compute the ETag of a one-part upload; larger files are always uploaded again."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, partial(hashlib.md5, usedforsecurity=False)).hexdigest()
