"""Find taken ports of the stack and the processes that hold them. Needs only Python."""

import errno
import pwd
import socket
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

VARIABLES = {
    "airflow-api": "RETAKE_AIRFLOW_PORT",
    "mlflow": "RETAKE_MLFLOW_PORT",
    "minio": "RETAKE_STORE_PORT",
    "redis": "RETAKE_REDIS_PORT",
}
"""The variable of .env that sets the port of each service."""

PROC = Path("/proc")
LISTENING = "0A"
FIRST_FREE, NUM_PORTS = 1024, 1 << 16
"""Ports below the first need root."""


@dataclass(frozen=True)
class Port:
    """A port that a service publishes."""

    service: str
    host: str
    number: int


def published(configuration: dict[str, Any]) -> list[Port]:
    """List the ports in Compose's resolved configuration."""
    return [
        Port(name, port.get("host_ip") or "0.0.0.0", int(port["published"]))  # noqa: S104 - Docker's default address
        for name, service in configuration["services"].items()
        for port in service.get("ports", [])
        if str(port.get("published", "")).isdigit()
    ]


def problems(wanted: Sequence[Port], own: Collection[int], container_at: Callable[[int], str]) -> list[str]:
    """Describe each taken port and its remedy, one line per port.

    The stack's containers hold `own` ports already. `container_at` names the container that publishes a port, or returns an empty string.
    """
    lines = []
    numbers = {port.number for port in wanted}
    for port in wanted:
        if port.number in own or not is_taken(port.host, port.number):
            continue
        holder = container_at(port.number)
        by = f"the container {holder}" if holder else _process_at(port.number) or "another program"
        others = chain(range(port.number + 1, NUM_PORTS), range(FIRST_FREE, port.number))
        free = next(n for n in others if n not in numbers and not is_taken(port.host, n))
        numbers.add(free)
        variable = VARIABLES.get(port.service, "its port")
        lines.append(
            f"port {port.number}, which {port.service} needs, is taken by {by}. End it, or set {variable}={free} in .env; that port is free"
        )
    return lines


def is_taken(host: str, number: int) -> bool:
    """Tell whether a port is taken; False if this user may not probe it."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # Ignore lingering closed connections.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError as error:
            return error.errno == errno.EADDRINUSE
    return False


def _process_at(number: int) -> str:
    """Name the listening process, else its user; empty if neither is visible."""
    for inode, user in _listeners(number):
        for folder in PROC.glob("[0-9]*"):
            with suppress(OSError):
                if any(link.readlink().name == f"socket:[{inode}]" for link in (folder / "fd").iterdir()):
                    return f"{(folder / 'comm').read_text().strip()} (process {folder.name})"
        with suppress(KeyError):
            return f"a process of the user {pwd.getpwuid(user).pw_name}"
    return ""


def _listeners(number: int) -> Iterator[tuple[int, int]]:
    """Yield inode and user of each socket that listens on a port."""
    for table in ("tcp", "tcp6"):
        with suppress(OSError):
            for line in (PROC / "net" / table).read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == LISTENING and int(columns[1].rsplit(":", 1)[1], 16) == number:
                    yield int(columns[9]), int(columns[7])
