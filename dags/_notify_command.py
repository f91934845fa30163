"""Run the command `notify` in its own process.

A notice neither delays nor fails a run.
"""

import logging
import os
import subprocess
import sys
import threading

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import BaseNotifier, Context

from dags._environment import REPOSITORY, airflow_url, inherited
from tasks.errors import BadConfiguration, BadInput, Unavailable
from tasks.store.records.status import EndedRun, Notice

log = logging.getLogger(__name__)
MAX_SECONDS = 90
IN_WORDS = (BadInput.exit_code, Unavailable.exit_code, BadConfiguration.exit_code)
"""With these exit codes, the last line on stderr is for people, and has no address."""


class TellOfQuestion(BaseNotifier):
    """Tell people that a question waits for an answer; `text` is their second line."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.text = text

    def notify(self, context: Context) -> None:
        """Send the subject of the operator, with a link to its question."""
        asking = context["task"]
        assert isinstance(asking, HITLOperator)  # noqa: S101 - no other operator has such notifiers
        notice = Notice(
            event="approval",
            title=asking.subject,
            text=self.text,
            url=HITLOperator.generate_link_to_ui_from_context(context=context, base_url=airflow_url()),
            for_approvers=bool(asking.assigned_users),
        )
        notify(f"--notice={notice.model_dump_json()}")


def tellers(text: str) -> list[TellOfQuestion]:
    """Make the notifiers of a question."""
    return [TellOfQuestion(text)] if is_wanted() else []


def notify_later(ended: EndedRun) -> None:
    """Tell of a run in the background: the scheduler calls listeners in its loop."""
    threading.Thread(target=notify, args=(f"--ended={ended.model_dump_json()}",), daemon=True, name="notify").start()


def is_wanted() -> bool:
    """Check whether there is an address to send word to."""
    return any(os.environ.get(name) for name in ("RETAKE_NOTIFY", "RETAKE_APPROVERS"))


def notify(flag: str) -> None:
    """Run the command, and log why it failed."""
    command = [sys.executable, "-m", "tasks", "notify", flag]
    try:
        done = subprocess.run(  # noqa: S603 - a list of our own
            command, cwd=REPOSITORY, env=inherited(os.environ), capture_output=True, text=True, timeout=MAX_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        reason = f"it took longer than {MAX_SECONDS} s"
    except OSError as error:
        reason = f"its process did not start: {error.strerror}"
    else:
        said = done.stderr.splitlines() if done.returncode in IN_WORDS else []
        reason = said[-1] if said else f"exit code {done.returncode}; `python -m tasks notify` sends a test" if done.returncode else ""
    if reason:
        log.warning("a notice was not delivered: %s", reason)
