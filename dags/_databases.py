"""Clean Airflow's own database, by its own tool."""

import os
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from dags._form import Form, resolve

DATABASE = "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"
"""Airflow hides the address from its tasks, also under the older name."""


class CleanAirflowDatabase(BaseOperator):
    """Remove the records of old runs from a database that is a file in Airflow's home."""

    def __init__(self, *, form: Form, **kwargs: Any) -> None:  # noqa: ANN401 - Airflow's own arguments
        super().__init__(**{"queue": "cpu", **kwargs})
        self.form = form

    def execute(self, context: Context) -> None:
        """Run `airflow db clean`, in a dry run with its own flag.

        Raises:
            AirflowSkipException: the database is on a server, which tasks must not reach.
            AirflowException: the tool fails.
        """
        values = resolve(context, self.form)
        database = Path(os.environ.get("AIRFLOW_HOME", "")) / "airflow.db"
        if not database.is_file():
            raise AirflowSkipException("Airflow's database is on a server; docs/upkeep.md says how to clean it there")
        before = datetime.now(UTC) - timedelta(days=values["keep_days"])
        tool = [sys.executable, "-m", "airflow", "db", "clean", f"--clean-before-timestamp={before.isoformat()}", "--skip-archive", "--yes"]
        ended = subprocess.run(  # noqa: S603 - the program is Airflow
            [*tool, *(["--dry-run"] if values["dry_run"] else [])],
            env={name: value for name, value in os.environ.items() if not name.startswith("_")} | {DATABASE: f"sqlite:///{database}"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        self.log.info("%s", ended.stdout)
        if ended.returncode:
            raise AirflowException(f"airflow db clean ended with exit code {ended.returncode}; its output is above")
