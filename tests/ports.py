"""Keeps ports of test servers apart: from those of `make run`, and between workers of pytest-xdist."""

import os

PORTS_OF_A_WORKER = 2800
"""A distance at which no two workers' servers want the same port."""

MAX_WORKERS = 5
"""So that the highest port, 33646 of the store, stays below 65536."""


def port_offset(number: int) -> int:
    """Give `RETAKE_PORT_OFFSET` for the servers that a folder of tests knows by `number`."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return number + PORTS_OF_A_WORKER * (worker % MAX_WORKERS)
