"""Migrate Airflow's database, and create the first user and missing pools.

Safe to repeat.
"""

import os
import subprocess
import sys

# A command line shows the password to every user of the machine.
USER_PROGRAM = (
    "import os, sys; from airflow.__main__ import main; "
    "sys.argv = ['airflow', *sys.argv[1:], '--password=' + os.environ['RETAKE_AIRFLOW_PASSWORD']]; main()"
)


def _airflow(*arguments: str, program: tuple[str, ...] = ("airflow",)) -> int:
    return subprocess.run([*program, *arguments], stdout=subprocess.DEVNULL, check=False).returncode  # noqa: S603 - the image's own program


def main() -> int:
    """Set up, and return the exit code of the first command that fails."""
    person = {
        "username": "admin",
        "firstname": "Retake",
        "lastname": "Admin",
        "email": "admin@retake.invalid",
        "role": "Admin",
    }
    if code := _airflow("db", "migrate"):
        return code
    create = ("users", "create", *(f"--{name}={value}" for name, value in person.items()))
    if code := _airflow(*create, program=(sys.executable, "-c", USER_PROGRAM)):
        return code
    pools = {
        "gpu": (os.environ["RETAKE_GPU_SLOTS"], "One slot per GPU, or one without a GPU"),
        "prediction": ("1", "Predictions without a GPU"),
    }
    missing = [name for name in pools if _airflow("pools", "get", name)]
    return next((code for name in missing if (code := _airflow("pools", "set", name, *pools[name]))), 0)


if __name__ == "__main__":
    sys.exit(main())
