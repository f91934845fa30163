"""Write MLflow's auth file, upgrade the database, and become the MLflow server.

The file has secrets, and is written to memory.
"""

import os
import sys
from pathlib import Path

from mlflow.db import commands

AUTH_FILE = Path("/tmp/basic_auth.ini")  # noqa: S108 - a tmpfs of this container
AUTH = """\
[mlflow]
default_permission = READ
database_uri = {database}_auth
admin_username = admin
admin_password = {admin_password}
auth_cache_ttl_seconds = 60
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
"""
FLAGS = {
    "app-name": "basic-auth",
    "host": "0.0.0.0",  # noqa: S104 - a container's own address
    "port": "5000",
    "workers": "2",
}


def main() -> None:
    """Become the MLflow server."""
    database = f"postgresql+psycopg2://mlflow:{os.environ['MLFLOW_DB_PASSWORD']}@{os.environ.get('MLFLOW_DB_HOST', 'postgres')}/mlflow"
    AUTH_FILE.touch(0o600)
    AUTH_FILE.write_text(AUTH.format(database=database, admin_password=os.environ["MLFLOW_ADMIN_PASSWORD"]), encoding="utf-8")
    settings = {"MLFLOW_AUTH_CONFIG_PATH": str(AUTH_FILE), "MLFLOW_BACKEND_STORE_URI": database}
    flags = {**FLAGS, "allowed-hosts": os.environ["MLFLOW_ALLOWED_HOSTS"], "artifacts-destination": os.environ["MLFLOW_ARTIFACTS"]}
    command = ["mlflow", "server", *(f"--{name}={value}" for name, value in flags.items())]
    sys.stdout.flush()
    # In this process: the address has the password, which a command line would show.
    commands.main(["upgrade", database], standalone_mode=False)
    os.execvpe(command[0], command, os.environ | settings)  # noqa: S606 - the image's own program


if __name__ == "__main__":
    main()
