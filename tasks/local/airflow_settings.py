"""Configure the local Airflow: environment variables, and files in its home."""

import json
from pathlib import Path

from tasks.local.home import REPOSITORY, Credentials, Home, write_private
from tasks.local.people import ADMINISTRATOR, AIRFLOW_ROLES, people
from tasks.local.ports import LOOPBACK

USER = ADMINISTRATOR
DAGS = REPOSITORY / "dags"

_LOCAL_SETTINGS = f'''"""Keep Airflow's two log servers on loopback: they listen on every interface, and no setting changes it. Written by `make run`."""

import sys

__all__: list[str] = []  # none of these names may override Airflow's settings

if sys.argv[1:2] in (["scheduler"], ["triggerer"]):
    import uvicorn

    _run = uvicorn.run
    uvicorn.run = lambda app, **options: _run(app, **{{**options, "host": "{LOOPBACK}"}})


def hostname() -> str:
    """Return the host name by which the log servers are reached."""
    return "{LOOPBACK}"
'''


def passwords_file(home: Home) -> Path:
    """Locate the password file of Airflow's simple auth manager."""
    return home.root / "airflow" / "passwords.json"


def write_files(home: Home, credentials: Credentials) -> None:
    """Write the password file and the loopback hook into Airflow's home."""
    home.folder("airflow/config")
    passwords = {USER: credentials.airflow_password, **{name: person.password for name, person in people(home).items()}}
    write_private(passwords_file(home), json.dumps(passwords))
    write_private(home.root / "airflow" / "config" / "airflow_local_settings.py", _LOCAL_SETTINGS)


def environment(home: Home, credentials: Credentials, ports: dict[str, int]) -> dict[str, str]:
    """Make Airflow's configuration as environment variables. `ports` has `airflow`, `airflow_worker_logs` and `airflow_trigger_logs`."""
    folder = home.root / "airflow"
    address = f"http://{LOOPBACK}:{ports['airflow']}"
    roles = {USER: "admin", **{name: AIRFLOW_ROLES[person.role] for name, person in people(home).items()}}
    sections: dict[str, dict[str, object]] = {
        "CORE": {
            "DAGS_FOLDER": DAGS,
            "PLUGINS_FOLDER": DAGS / "plugins",
            "LOAD_EXAMPLES": False,
            "DAGS_ARE_PAUSED_AT_CREATION": False,
            "EXECUTOR": "LocalExecutor",
            "PARALLELISM": 4,
            "FERNET_KEY": credentials.airflow_fernet_key,
            "HOSTNAME_CALLABLE": "airflow_local_settings.hostname",
            "SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{name}:{role}" for name, role in roles.items()),
            "SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": passwords_file(home),
        },
        "API": {"HOST": LOOPBACK, "PORT": ports["airflow"], "BASE_URL": address, "SECRET_KEY": credentials.airflow_secret_key},
        "API_AUTH": {"JWT_SECRET": credentials.airflow_jwt_secret},
        "DATABASE": {"SQL_ALCHEMY_CONN": f"sqlite:///{folder / 'airflow.db'}"},
        # Idle sleep: 1 s doubles the time of a chain of short steps, 0.1 s takes a sixth of a core.
        # Orphaned tasks of a killed scheduler are adopted after one minute instead of five, and those of a killed worker retried after one.
        "SCHEDULER": {
            "SCHEDULER_IDLE_SLEEP_TIME": 0.3,
            "JOB_HEARTBEAT_SEC": 2,
            "ORPHANED_TASKS_CHECK_INTERVAL": 30,
            "TASK_INSTANCE_HEARTBEAT_TIMEOUT": 60,
        },
        # Airflow notices the end of a skipped task only at the next heartbeat.
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
