"""Ports of the servers that tests start: away from those of a real `make run`, and each worker of pytest-xdist has its own."""

import os

PORTS_OF_A_WORKER = 1500


def port_offset(number: int) -> int:
    """`RETAKE_PORT_OFFSET` for the servers that a folder of tests knows by `number`, which is below 1500."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return number + PORTS_OF_A_WORKER * worker
