"""Run MLflow's server in one process.

Usage: `python -m tasks.local.mlflow_process FLAG…`, with the flags of `mlflow server`. That command starts another interpreter for the server,
which imports the same modules once more, and then only waits for it.
"""

import os
import sys
from collections.abc import Mapping, Sequence

# Flask's own check of hosts has its defaults, since the flags come later; FastAPI's, around all routes, has the flags.
import mlflow.cli
import mlflow.server
import uvicorn


def run(flags: Sequence[str]) -> None:
    """Bring the database up to date, and serve until SIGINT or SIGTERM."""
    mlflow.server._exec_cmd = _serve  # type: ignore[attr-defined, assignment]  # without it, MLflow starts the second interpreter
    mlflow.cli.cli(["server", *flags])


def _serve(command: Sequence[str], extra_env: Mapping[str, str], **_: object) -> None:
    """Serve as the command `python -m uvicorn …` would, and end this process."""
    os.environ.update(extra_env)
    uvicorn.main(command[command.index("uvicorn") + 1 :])


if __name__ == "__main__":
    run(sys.argv[1:])
