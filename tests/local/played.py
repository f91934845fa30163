"""Stands for a step: `python -m tests.local.played WHAT`."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path


def _wait_with_a_child() -> None:
    child = subprocess.Popen(["sleep", "600"])
    sys.stdout.write(f"{json.dumps([os.getpid(), child.pid])}\n")
    sys.stdout.flush()
    child.wait()


def _mind_sigterm() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(75))
    sys.stdout.write(f"{json.dumps([os.getpid()])}\n")
    sys.stdout.flush()
    while True:
        time.sleep(600)


def main() -> int:
    """Do as the first argument says."""
    match sys.argv[1]:
        case "tell":
            variables = {name: os.environ.get(name) for name in ("ODD", "MLFLOW_HTTP_REQUEST_MAX_RETRIES")}
            sys.stdout.write(json.dumps([sys.argv[2:], variables, str(Path.cwd()), "torch" in sys.modules, os.getppid()]))
            logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stderr)
            logging.getLogger("retake").info("said")
            return 3
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "raise":
            raise ValueError("a bug")
        case "wait":
            _wait_with_a_child()
        case "mind":
            _mind_sigterm()
    return 0


if __name__ == "__main__":
    sys.exit(main())
