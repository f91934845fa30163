"""Migrate Airflow's database, and create the first user and missing pools.

Safe to repeat.
"""

import os
import subprocess
import sys


def _airflow(*arguments: str) -> int:
    return subprocess.run(["airflow", *arguments], stdout=subprocess.DEVNULL, check=False).returncode  # noqa: S603, S607 - the image's own program


def main() -> int:
    """Set up, and return the exit code of the first command that fails."""
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
    pools = {
        "gpu": (os.environ["RETAKE_GPU_SLOTS"], "One slot per GPU, or one without a GPU"),
        "prediction": ("1", "Predictions without a GPU"),
    }
    missing = [name for name in pools if _airflow("pools", "get", name)]
    return next((code for name in missing if (code := _airflow("pools", "set", name, *pools[name]))), 0)


if __name__ == "__main__":
    sys.exit(main())
