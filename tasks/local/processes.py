"""Choose TCP ports on loopback, and start and stop server processes that outlive their command."""

import os
import signal
import socket
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil
from pydantic import BaseModel, ConfigDict, ValidationError

from tasks.errors import BadConfiguration
from tasks.local.home_folder import Home, write_private

LOOPBACK = "127.0.0.1"
_SEARCHED = 200


def is_free(port: int) -> bool:
    """Check whether a server can listen on `port` now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # lingering closed connections do not block the port
        try:
            probe.bind((LOOPBACK, port))
        except (OSError, OverflowError):
            return False
    return True


def choose_ports(wanted: Mapping[str, int], avoid: Iterable[int] = ()) -> dict[str, int]:
    """Choose distinct free ports: those wanted or the next above, none of `avoid`.

    Raises:
        BadConfiguration: none of the next 200 is free.
    """
    taken = set(avoid)
    chosen: dict[str, int] = {}
    for name, first in wanted.items():
        candidates = range(first, min(first + _SEARCHED, 65536))
        port = next((p for p in candidates if p not in taken and is_free(p)), None)
        if port is None:
            raise BadConfiguration(
                f"no free port for {name} from {first} to {candidates.stop - 1}; set RETAKE_PORT_OFFSET to move all ports"
            )
        taken.add(port)
        chosen[name] = port
    return chosen


MARK = "RETAKE_SERVER"
"""Environment variable of every server. Its child processes inherit it, whatever session or parent they have."""


class Record(BaseModel):
    """The record of a started server, kept in `.retake/servers/`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    pid: int
    create_time: float
    fingerprint: str
    ports: dict[str, int]


def record_file(home: Home, name: str) -> Path:
    """Locate the record of server `name`."""
    return home.root / "servers" / f"{name}.json"


def read_record(home: Home, name: str) -> Record | None:
    """Read the record of the last start of `name`; None if absent or malformed."""
    try:
        return Record.model_validate_json(record_file(home, name).read_bytes())
    except (FileNotFoundError, ValidationError):
        return None


def is_running(record: Record) -> bool:
    """Check whether the process of `record` runs, not a later one with its pid."""
    try:
        process = psutil.Process(record.pid)
    except psutil.NoSuchProcess:
        return False
    return abs(process.create_time() - record.create_time) < 0.01 and _is_alive(process)


def launch(home: Home, name: str, argv: list[str], env: Mapping[str, str], ports: dict[str, int], fingerprint: str) -> Record:
    """Start a server in its own session, with output to `.retake/logs/<name>.log`, and record it."""
    # posix_spawn: a Popen object would have to wait for its child.
    output_flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
    pid = os.posix_spawn(
        argv[0],
        argv,
        {**env, MARK: _mark(home, name), "SPT_NOENV": "1"},  # SPT_NOENV: setproctitle must not overwrite the environment
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log_file(home, name)), output_flags, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )
    # Works even if the child has died: it is a zombie then.
    created = psutil.Process(pid).create_time()
    record = Record(name=name, pid=pid, create_time=created, fingerprint=fingerprint, ports=ports)
    home.folder("servers")
    write_private(record_file(home, name), record.model_dump_json(indent=1))
    return record


def log_file(home: Home, name: str) -> Path:
    """Locate the log of server `name`."""
    return home.folder("logs") / f"{name}.log"


def rotate_log(home: Home, name: str) -> None:
    """Rename the log of the last start, to keep it beside the new one."""
    log = log_file(home, name)
    if log.exists():
        log.replace(log.with_suffix(".log.1"))


def tail(path: Path, num_lines: int = 15) -> str:
    """Return the last lines of a log."""
    if not path.exists():
        return ""
    return "\n".join(path.read_text(errors="replace").splitlines()[-num_lines:])


def stop(home: Home, name: str, leader_signal: signal.Signals, grace_seconds: float) -> bool:
    """Stop server `name` and its child processes; return whether anything ran.

    The leader gets `leader_signal`; survivors get SIGKILL after the grace.
    """
    record = read_record(home, name)
    running = members(home, name)
    if record is not None and is_running(record):
        leader = psutil.Process(record.pid)
        running |= {leader, *leader.children(recursive=True)}
        _signal([leader], leader_signal)
    else:
        _signal(running, signal.SIGTERM)
    remaining = _wait(running, grace_seconds) | members(home, name)  # with processes started during the grace
    _signal(remaining, signal.SIGKILL)
    _wait(remaining, 5)
    record_file(home, name).unlink(missing_ok=True)
    return bool(running)


def _mark(home: Home, name: str) -> str:
    return f"{name}@{home.root}"


def members(home: Home, name: str) -> set[psutil.Process]:
    """Find all processes of this user that carry the mark of server `name`."""
    marked = set()
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and process.environ().get(MARK) == _mark(home, name):
                marked.add(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied, OSError):
            continue
    return marked


def _signal(processes: Iterable[psutil.Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            process.send_signal(number)  # psutil checks the creation time first
        except psutil.NoSuchProcess:
            continue


def _wait(processes: Iterable[psutil.Process], seconds: float) -> set[psutil.Process]:
    """Wait for `processes` to end; return those that still run."""
    deadline = time.monotonic() + seconds
    while (alive := {process for process in processes if _is_alive(process)}) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive


def _is_alive(process: psutil.Process) -> bool:
    """Check whether a process runs. Zombies, as in a container without an init, do not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
