"""Row `chain`: how long Airflow takes over a chain of DAGs whose every result is there."""

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.bench.measure import Row, alternate

REPOSITORY = Path(__file__).resolve().parents[2]
PORT_OFFSET = 700
"""Away from servers that somebody has up."""


def chain(folder: Path, quick: bool) -> list[Row]:
    """`make run` on the sample videos again and again, after it was run once; the servers stay up in between."""
    folders = {"RETAKE_HOME": str(folder / "home"), "RETAKE_CACHE_DIR": str(folder / "cache")}
    environment = os.environ | folders | {"RETAKE_PORT_OFFSET": str(PORT_OFFSET)}

    def local(*arguments: str) -> None:
        command = [sys.executable, "-m", "tasks.local", *arguments]
        subprocess.run(command, cwd=REPOSITORY, env=environment, check=True, stdout=sys.stderr)

    def again() -> None:
        local("run", "--set", "epochs=1")

    started = time.perf_counter()
    try:
        again()
        first_seconds = time.perf_counter() - started
        values = alternate({"again": again}, 1 if quick else 3)
    finally:
        local("stop")
    limit = "a task of Airflow's that does nothing takes half a second here, and the chain has some twenty, one after the other"
    how = "`make run` on the sample videos with the servers up, in a home of its own, from the command to its end."
    notes = {"again": f"the first run, servers' start and training included, took {first_seconds:.0f} s"}
    return [Row("chain", "The chain of DAGs, all results there", "s", values, "again", "less than 20 s", limit, how, notes)]
