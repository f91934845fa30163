"""The settings of the local Airflow, all by environment variables, and the files that it wants in its home."""

import json
from pathlib import Path

from tasks.local.home import REPOSITORY, Credentials, Home, write_private
from tasks.local.ports import LOOPBACK

USER = "admin"
DAGS = REPOSITORY / "dags"

_LOCAL_SETTINGS = f'''"""Written by `make run`. Airflow's two log servers listen on every interface and have no setting for it: keep them on loopback."""

import sys

__all__: list[str] = []  # nothing of this is to replace Airflow's own settings

if sys.argv[1:2] in (["scheduler"], ["triggerer"]):
    import uvicorn

    _run = uvicorn.run
    uvicorn.run = lambda app, **options: _run(app, **{{**options, "host": "{LOOPBACK}"}})


def hostname() -> str:
    """The name under which the log servers are asked for logs."""
    return "{LOOPBACK}"
'''


def passwords_file(home: Home) -> Path:
    """Where Airflow's simple auth manager looks for the password."""
    return home.root / "airflow" / "passwords.json"


def write_files(home: Home, credentials: Credentials) -> None:
    """Put the password and the loopback hook where Airflow finds them."""
    home.folder("airflow/config")
    write_private(passwords_file(home), json.dumps({USER: credentials.airflow_password}))
    write_private(home.root / "airflow" / "config" / "airflow_local_settings.py", _LOCAL_SETTINGS)


def environment(home: Home, credentials: Credentials, ports: dict[str, int]) -> dict[str, str]:
    """Airflow's configuration as environment variables. `ports` has `airflow`, `airflow_worker_logs` and `airflow_trigger_logs`."""
    folder = home.root / "airflow"
    address = f"http://{LOOPBACK}:{ports['airflow']}"
    sections: dict[str, dict[str, object]] = {
        "CORE": {
            "DAGS_FOLDER": DAGS,
            "LOAD_EXAMPLES": False,
            "DAGS_ARE_PAUSED_AT_CREATION": False,
            "EXECUTOR": "LocalExecutor",
            "PARALLELISM": 4,
            "FERNET_KEY": credentials.airflow_fernet_key,
            "HOSTNAME_CALLABLE": "airflow_local_settings.hostname",
            "SIMPLE_AUTH_MANAGER_USERS": f"{USER}:admin",
            "SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": passwords_file(home),
        },
        "API": {"HOST": LOOPBACK, "PORT": ports["airflow"], "BASE_URL": address, "SECRET_KEY": credentials.airflow_secret_key},
        "API_AUTH": {"JWT_SECRET": credentials.airflow_jwt_secret},
        "DATABASE": {"SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'airflow.db'}"},
        # An idle second between two looks makes a chain of short steps twice as long; a tenth takes a sixth of a core.
        # Tasks of a scheduler that was killed are taken up again after a minute, not after five.
        "SCHEDULER": {
            "SCHEDULER_IDLE_SLEEP_TIME": 0.3,
            "JOB_HEARTBEAT_SEC": 2,
            "ORPHANED_TASKS_CHECK_INTERVAL": 30,
            "TASK_INSTANCE_HEARTBEAT_TIMEOUT": 120,
        },
        # A skipped task ends for Airflow only with the heartbeat after its process has ended.
        "WORKERS": {"MIN_HEARTBEAT_INTERVAL": 1},
        "DAG_PROCESSOR": {"PARSING_PROCESSES": 1, "REFRESH_INTERVAL": 30, "MIN_FILE_PROCESS_INTERVAL": 60, "PRINT_STATS_INTERVAL": 3600},
        "LOGGING": {
            "WORKER_LOG_SERVER_PORT": ports["airflow_worker_logs"],
            "TRIGGER_LOG_SERVER_PORT": ports["airflow_trigger_logs"],
            "COLORED_CONSOLE_LOG": False,
        },
    }
    flat = {f"AIRFLOW__{section}__{key}": str(value) for section, values in sections.items() for key, value in values.items()}
    return {"AIRFLOW_HOME": str(folder), "PYTHONUNBUFFERED": "1", "NO_COLOR": "1", **flat}
