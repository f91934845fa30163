"""Runs a step of `python -m tasks` for Airflow: the same argument list in every runner, results by XCom, exit codes as retries."""

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import IO, Any, Never
from urllib.parse import quote

from airflow.sdk import BaseOperator, BaseOperatorLink, Context, conf
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowSkipException

from dags._params import Form, places, resolve
from tasks.errors import BadConfiguration, BadInput, NothingToDo, RetakeError, Unavailable
from tasks.options import Options
from tasks.settings import RunnerSettings, load

REPOSITORY = Path(__file__).resolve().parents[1]
PASSED_PREFIXES = ("RETAKE_", "AWS_", "MLFLOW_", "LC_", "CUDA_", "NVIDIA_", "OMP_")
PASSED_NAMES = frozenset(
    ("PATH", "HOME", "LANG", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "XDG_CACHE_HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE")
)
"""A step gets no other variable: Airflow's hold its database connection and its signing keys."""

TASK_DEFAULTS: dict[str, Any] = {
    "owner": "retake",
    "retries": 3,
    "retry_delay": timedelta(seconds=30),
    "retry_exponential_backoff": 2.0,
    "max_retry_delay": timedelta(minutes=10),
}
"""A store or an MLflow that is restarted is back within the minutes that these retries span."""

POLL_SECONDS = 1.0
TERM_GRACE_SECONDS = 3.0
"""Less than the 5 s after which Airflow kills the process that `on_kill` runs in."""

WATCHDOG = 'exec 3<&0; (trap "" TERM; read -r _; kill -KILL 0) <&3 >/dev/null 2>&1 3<&- & exec "$@" </dev/null 3<&-'
"""A shell that becomes the step and leaves a child behind, which waits for the end of a pipe that this process alone holds.

So the whole group is killed when this process goes, even by SIGKILL, and no process is left when the step has ended.
"""


class MlflowRunLink(BaseOperatorLink):
    """The button from a task to its MLflow run."""

    name = "MLflow run"

    def get_link(self, operator: BaseOperator, *, ti_key: object) -> str:
        """The address that the step's result named; Airflow calls this where the task ran and keeps it as an XCom."""
        return operator.mlflow_run_url if isinstance(operator, LocalStepOperator) else ""


class LocalStepOperator(BaseOperator):
    """Runs one step as a process group of its own on the machine of the Airflow worker.

    Args:
        step: sub-command of `python -m tasks`.
        form: the DAG's options, see `_params.Form`.
        options: the option models that the step takes.
        passes: names of resolved values that the step takes besides, such as `dataset`.
        arguments: further flags; templated, and `{store}`, `{key}` and `{recipe}` are filled in, as in `out`.
        out: address that the step writes to, with a slash at the end.
        mapped: one element of the list that the task is expanded over; templates reach it as `task.mapped`.
        returns: name of the result's list that later tasks are expanded over. It is the task's return value, for Airflow expands over
            nothing else, and the whole result lies beside it as XCom `result`.
    """

    template_fields = ("arguments", "out")
    operator_extra_links = (MlflowRunLink(),)
    ui_color = "#e8f0fe"

    def __init__(
        self,
        *,
        step: str,
        form: Form,
        out: str,
        options: tuple[type[Options], ...] = (),
        passes: tuple[str, ...] = (),
        arguments: dict[str, str] | None = None,
        mapped: dict[str, str] | None = None,
        returns: str | None = None,
        **kwargs: Any,  # noqa: ANN401 - Airflow's own arguments
    ) -> None:
        super().__init__(**kwargs)
        self.step = step
        self.form = form
        self.out = out
        self.options = options
        self.passes = passes
        self.arguments = arguments
        self.mapped = mapped
        self.returns = returns
        self.mlflow_run_url = ""
        self._process: subprocess.Popen[bytes] | None = None

    def execute(self, context: Context) -> dict[str, Any] | list[dict[str, str]]:
        """Run the step, its stderr into the task's log, and return its result, or the list of it that `returns` names.

        Raises:
            AirflowFailException: bad input or wrong configuration, which a retry does not mend.
            AirflowSkipException: there was nothing to do.
            AirflowException: everything else.
        """
        try:
            settings = load(RunnerSettings)
        except BadConfiguration as error:
            raise AirflowFailException(str(error)) from None
        values = resolve(context, self.form)
        flags = command_flags(self, values)
        self.log.info("python -m tasks %s", " ".join((self.step, *flags)))
        command = [str(settings.python or sys.executable), "-m", "tasks", self.step, *flags]
        result = self._run(command, step_environment(os.environ, context))
        self.mlflow_run_url = result.get("mlflow_run_url", "")
        for asset in self.outlets:
            context["outlet_events"][asset].extra = self.form.handover(values)
        if self.returns is None:
            return result
        context["ti"].xcom_push("result", result)
        listed: list[dict[str, str]] = result[self.returns]
        return listed

    def on_kill(self) -> None:
        """End the step: SIGTERM to its group, and SIGKILL where that does not help in time."""
        if self._process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(TERM_GRACE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _run(self, command: list[str], environment: dict[str, str]) -> dict[str, Any]:
        last_lines: deque[str] = deque(maxlen=1)
        with tempfile.TemporaryFile() as stdout:
            process = subprocess.Popen(  # noqa: S603 - a list, never a shell's text: the shell's script is the constant
                ["/bin/sh", "-c", WATCHDOG, "sh", *command],
                cwd=REPOSITORY,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=stdout,
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
            self._process = process
            try:
                for line in _lines(process):
                    self.log.info("%s", line)
                    if line.strip():
                        last_lines.append(line.strip())
                code = process.wait()
            finally:
                with process, contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            if code:
                raise_outcome(self.step, code, last_lines[0] if last_lines else "no word on stderr")
            return _result(self.step, stdout)


def command_flags(step: LocalStepOperator, values: Mapping[str, Any]) -> list[str]:
    """The flags of `step` for a run with these resolved `values`; what is None is left out."""
    names = (*(name for model in step.options for name in model.model_fields), *step.passes)
    where = places(values)
    addresses = {name: _filled(text, where) for name, text in {**(step.arguments or {}), "out": step.out}.items()}
    flags = {"store": values["store"], **{name: values[name] for name in names}, **addresses}
    return [flag for name, value in flags.items() for flag in _spelled(name, value)]


def step_environment(environment: Mapping[str, str], context: Context) -> dict[str, str]:
    """The variables that a step gets, with the address of its Airflow run in `RETAKE_AIRFLOW_URL`."""
    passed = {name: value for name, value in environment.items() if name.upper() in PASSED_NAMES or name.startswith(PASSED_PREFIXES)}
    base = conf.get("api", "base_url", fallback="http://localhost:8080").rstrip("/")
    run = context["dag_run"]
    return passed | {"RETAKE_AIRFLOW_URL": f"{base}/dags/{quote(run.dag_id)}/runs/{quote(run.run_id)}"}


def raise_outcome(step: str, code: int, last_line: str) -> Never:
    """Raise what tells Airflow whether a retry can mend a step that ended with `code`, with its last line on stderr as the message.

    Raises:
        AirflowFailException: no retry.
        AirflowSkipException: nothing to do.
        AirflowException: a retry, where the task has one left.
    """
    outcomes: dict[int, tuple[type[AirflowException], str]] = {
        BadInput.exit_code: (AirflowFailException, ""),
        RetakeError.exit_code: (AirflowFailException, f"{step} has a bug: "),
        BadConfiguration.exit_code: (AirflowFailException, ""),
        NothingToDo.exit_code: (AirflowSkipException, ""),
        Unavailable.exit_code: (AirflowException, ""),
    }
    how = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    exception, prefix = outcomes.get(code, (AirflowException, f"{step} ended with {how}: "))
    raise exception(prefix + last_line)


def _filled(text: str, where: Mapping[str, str]) -> str:
    """Not str.format, which would read attributes of what it is given."""
    for name, value in where.items():
        text = text.replace(f"{{{name}}}", value)
    return text


def _spelled(name: str, value: object) -> list[str]:
    """One option as flags; `--name=value`, so that a value that starts with a dash stays a value."""
    flag = name.replace("_", "-")
    if value is None:
        return []
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    return [f"--{flag}={item}" for item in (value if isinstance(value, list) else [value])]


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    """Lines on stderr as they come, until it ends or, where a left-over child holds it open, `process` does."""
    assert process.stderr is not None  # noqa: S101 - for the type checker: Popen was given a pipe
    stream = process.stderr
    supervisor = os.getppid()
    rest = b""
    while True:
        ended = process.poll() is not None
        if select.select([stream], [], [], 0 if ended else POLL_SECONDS)[0]:
            chunk = os.read(stream.fileno(), 1 << 16)
            if not chunk:
                break
            *lines, rest = (rest + chunk).split(b"\n")
            yield from (line.decode(errors="replace").rstrip() for line in lines)
        elif ended:
            break
        if os.getppid() != supervisor:
            raise AirflowException("the Airflow process that supervised this task is gone; the step was ended with it")
    if rest:
        yield rest.decode(errors="replace").rstrip()


def _result(step: str, stdout: IO[bytes]) -> dict[str, Any]:
    stdout.seek(0)
    lines = stdout.read().strip().splitlines()
    try:
        result = json.loads(lines[-1]) if lines else None
    except ValueError:
        result = None
    if not isinstance(result, dict):
        raise AirflowException(f"{step} ended well, but its last line on stdout is no result")
    return result


RUNNERS: Mapping[str, type[LocalStepOperator]] = {"local": LocalStepOperator}
StepOperator = RUNNERS[load(RunnerSettings).runner]
