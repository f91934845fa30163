"""Separate the ports of test servers from `make run` and other pytest-xdist workers."""

import os

PORTS_OF_A_WORKER = 2800
"""At this distance, servers of two workers never want the same port."""

MAX_WORKERS = 5
"""Keeps the highest port, 33646 of the store plus its offset, below 65536."""


def port_offset(number: int) -> int:
    """Compute RETAKE_PORT_OFFSET of this worker for the servers of a test folder, which `number` identifies."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return number + PORTS_OF_A_WORKER * (worker % MAX_WORKERS)
