"""Start the local servers, reuse healthy ones, and stop them."""

import os
import subprocess
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import BadConfiguration, Unavailable
from tasks.local import processes, warm
from tasks.local.home_folder import Credentials, Home
from tasks.local.processes import Record, choose_ports, is_free
from tasks.local.servers import STOP, TITLES, WANTED_PORTS, Server, all_servers

Announce = Callable[[str], None]
_POLL_SECONDS = 0.1
_REUSE_SECONDS = 10


@dataclass(frozen=True)
class State:
    """The status of one server."""

    server: Server
    is_running: bool
    is_healthy: bool


def up(home: Home, announce: Announce, names: Collection[str] = tuple(WANTED_PORTS)) -> list[Server]:
    """Start or restart servers as needed, and wait until they are healthy. Hold the lock.

    Raises:
        Unavailable: a server ended or was not healthy in time; the message has the end of its log.
        BadConfiguration: no port is free, a program is not installed, or a restore was cut off.
    """
    if "airflow" in names and half_restored(home).exists():
        raise BadConfiguration(f"a restore into {home.root} was cut off; repeat it with --replace")
    credentials = Credentials.load_or_create(home)
    records = {name: processes.read_record(home, name) for name in WANTED_PORTS}
    for name, record in records.items():
        if record is None or not processes.is_running(record):
            processes.stop(home, name, *STOP)  # children that outlived their server hold its ports
    servers = [s for s in all_servers(home, credentials, _ports(records, patience_seconds=2)) if s.name in names]
    started: dict[str, Record] = {}
    for server in servers:
        record = records[server.name]
        if record is not None and _is_usable(server, record):
            announce(f"{server.title}: already running at {server.address}")
            continue
        if record is not None and processes.is_running(record):
            why = "it is unhealthy" if record.fingerprint == server.fingerprint else "its settings or the code's version changed"
            announce(f"{server.title}: restarting it: {why}")
        processes.stop(home, server.name, *STOP)
        wanted = WANTED_PORTS[server.name][server.name] + _offset()
        taken = "" if server.ports[server.name] == wanted else f" (port {wanted} is taken)"
        announce(f"{server.title}: starting at {server.address}{taken}")
        started[server.name] = _start(home, server)
    _wait(home, [s for s in servers if s.name in started], started, announce)
    if "airflow" in names and warm.is_of_use():
        # Started last: the servers' start keeps every core busy, and the first steps need few of its imports.
        warm.start(home, next(server for server in servers if server.name == "airflow").full_env())
    return servers


def down(home: Home, announce: Announce) -> None:
    """Stop every server of this home and their child processes, Airflow first. Hold the lock."""

    def end(name: str) -> None:
        ended = processes.stop(home, name, *STOP)
        announce(f"{TITLES[name]}: {'ended' if ended else 'did not run'}")

    end("airflow")  # before the servers that its steps use
    warm.stop(home)
    with ThreadPoolExecutor() as pool:
        list(pool.map(end, ("mlflow", "store")))


def running(home: Home) -> list[State]:
    """Check the status of each server; before the first start there is none."""
    if not home.credentials_file.exists():
        return []
    records = {name: processes.read_record(home, name) for name in WANTED_PORTS}
    states = []
    for server in all_servers(home, Credentials.load(home), _ports(records)):
        record = records[server.name]
        alive = record is not None and processes.is_running(record)
        states.append(State(server, alive, alive and server.is_healthy()))
    return states


def healthy_address(home: Home, name: str) -> str | None:
    """Return the address of a server; None unless it runs and is healthy."""
    return next((state.server.address for state in running(home) if state.server.name == name and state.is_healthy), None)


def _offset() -> int:
    offset = os.environ.get("RETAKE_PORT_OFFSET") or "0"
    try:
        return int(offset)
    except ValueError:
        raise BadConfiguration(f"RETAKE_PORT_OFFSET is {offset!r}; write a whole number, such as 100") from None


def _ports(records: dict[str, Record | None], patience_seconds: float = 0) -> dict[str, dict[str, int]]:
    """Choose the ports of the servers.

    A running server keeps its ports; a stopped one gets its last ports if they become free in time, else the wanted ones or the next free ones.
    """
    ports: dict[str, dict[str, int]] = {}
    for name, record in records.items():
        if record is None or record.ports.keys() != WANTED_PORTS[name].keys():
            continue
        deadline = time.monotonic() + patience_seconds
        while not (usable := processes.is_running(record) or all(map(is_free, record.ports.values()))) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        if usable:
            ports[name] = record.ports
    avoid = {port for own in ports.values() for port in own.values()}
    for name, wanted in WANTED_PORTS.items():
        if name not in ports:
            ports[name] = choose_ports({key: port + _offset() for key, port in wanted.items()}, avoid)
            avoid |= set(ports[name].values())
    return ports


def _is_usable(server: Server, record: Record) -> bool:
    """Check whether the running server matches and is healthy; wait if it is starting."""
    if not processes.is_running(record) or record.fingerprint != server.fingerprint:
        return False
    patience = max(_REUSE_SECONDS, record.create_time + server.max_start_seconds - time.time())
    deadline = time.monotonic() + patience
    while processes.is_running(record) and time.monotonic() < deadline:
        if server.is_healthy():
            return True
        time.sleep(_POLL_SECONDS)
    return False


def _start(home: Home, server: Server) -> Record:
    """Start a server; bring its database up to date first, if another version wrote it."""
    last_good = last_good_version_file(home, server.name)
    if server.database and not last_good.exists():  # an interrupted first start may have left it incomplete
        for path in server.database.parent.glob(f"{server.database.name}*"):  # and SQLite's -wal and -shm
            path.unlink()
    processes.rotate_log(home, server.name)
    if server.migration and last_good.exists() and last_good.read_text() != server.version:
        with processes.log_file(home, server.name).open("ab") as log:
            done = subprocess.run(server.migration, env=server.full_env(), stdout=log, stderr=log, check=False)  # noqa: S603 - an installed program
        if done.returncode:
            raise Unavailable(_complaint(home, server, "cannot read the database of another version"))
    return processes.launch(home, server.name, server.argv, server.full_env(), server.ports, server.fingerprint)


def _wait(home: Home, servers: list[Server], records: dict[str, Record], announce: Announce) -> None:
    begun = time.monotonic()
    waiting = list(servers)
    while waiting:
        for server in list(waiting):
            seconds = time.monotonic() - begun
            if server.is_healthy():
                last_good_version_file(home, server.name).write_text(server.version)
                announce(f"{server.title}: ready after {seconds:.0f} s")
                waiting.remove(server)
            elif not processes.is_running(records[server.name]):
                raise Unavailable(_complaint(home, server, "ended at its start"))
            elif seconds > server.max_start_seconds:
                raise Unavailable(_complaint(home, server, f"was not ready within {server.max_start_seconds:.0f} s"))
        time.sleep(_POLL_SECONDS)


def last_good_version_file(home: Home, name: str) -> Path:
    """Locate the file with the version of server `name` whose last start succeeded."""
    return home.folder("servers") / f"{name}.was-well"


def half_restored(home: Home) -> Path:
    """Locate the mark of a restore that has not ended."""
    return home.folder("servers") / "half-restored"


def _complaint(home: Home, server: Server, trouble: str) -> str:
    log = processes.log_file(home, server.name)
    return f"{server.title} {trouble}; the end of {log}:\n{processes.tail(log)}"
