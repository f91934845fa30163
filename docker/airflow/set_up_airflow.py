"""Brings Airflow's database up to date, and makes the first person and the pool `gpu` unless they are there. Safe to repeat."""

import os
import subprocess
import sys


def _airflow(*arguments: str) -> int:
    return subprocess.run(["airflow", *arguments], stdout=subprocess.DEVNULL, check=False).returncode  # noqa: S603, S607 - the image's own program


def main() -> int:
    """Set up, and return the exit code of what failed first."""
    person = {
        "username": "admin",
        "firstname": "Retake",
        "lastname": "Admin",
        "email": "admin@retake.invalid",
        "role": "Admin",
        "password": os.environ["RETAKE_AIRFLOW_PASSWORD"],
    }
    if code := _airflow("db", "migrate"):
        return code
    if code := _airflow("users", "create", *(f"--{name}={value}" for name, value in person.items())):
        return code
    if _airflow("pools", "get", "gpu") == 0:
        return 0
    return _airflow("pools", "set", "gpu", os.environ["RETAKE_GPU_SLOTS"], "One slot for each GPU, or one where there is none")


if __name__ == "__main__":
    sys.exit(main())
