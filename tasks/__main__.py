"""Run one step: `python -m tasks STEP --…`."""

import gc
import logging
import signal
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

if sys.version_info < (3, 11):  # noqa: UP036 - another Python may be older, and cannot import the rest
    sys.exit(f"{sys.executable} is Python {sys.version.split()[0]}, and Retake needs 3.11 or later; run .venv/bin/python -m tasks …")

from tasks.wording import lacks

try:
    from pydantic import BaseModel

    from tasks.disk import own_temporary_folder
    from tasks.errors import BadConfiguration, RetakeError, Terminated
    from tasks.options import Options
    from tasks.pipeline.commands import AS_JSON, parse
    from tasks.pipeline.step import Command, Step
    from tasks.settings import LogSettings, StoreSettings, load
    from tasks.store.run_layout import run_holding
    from tasks.telemetry import JsonLines, TextLines, step_span
    from tasks.wording import printable, without_secrets
except ModuleNotFoundError as error:
    sys.exit(lacks(error, "tasks"))

log = logging.getLogger("retake")


def main(argv: list[str] | None = None) -> int:
    """Run one step and return its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    to_stderr = logging.StreamHandler()
    to_stderr.setFormatter(TextLines())
    logging.basicConfig(level=logging.INFO, handlers=[to_stderr])
    for chatty in ("httpx", "urllib3", "matplotlib", "botocore", "alembic", "mlflow.store"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        settings = load(LogSettings)
        context = {"run": settings.airflow_url} if settings.airflow_url else {}
        if settings.log_format == "json":
            to_stderr.setFormatter(JsonLines(context))
        command, parsed = parse(arguments)
        context["step"] = command.name
        with step_span(command.name, _attributes(command, parsed, settings)) as trace_id:
            if trace_id:
                context["trace_id"] = trace_id
            with _ending_at_sigterm(), own_temporary_folder():
                result = _run(command, parsed, for_people=sys.stdout.isatty() and AS_JSON not in arguments)
    except RetakeError as error:
        log.error("%s: %s", type(error).__name__, error)
        return error.exit_code
    except Exception as error:
        log.critical("%s: %s", type(error).__name__, error, exc_info=True)
        return RetakeError.exit_code
    sys.stdout.write(result)
    return 0


def _attributes(command: Command, arguments: Options, settings: LogSettings) -> dict[str, str]:
    """Name the store, the result and the training of a step for its span."""
    result_uri = command.address(arguments).uri if isinstance(command, Step) else ""
    training = run_holding(result_uri)
    attributes = {
        "retake.step": command.name,
        "retake.store": getattr(arguments, "store", None),
        "retake.result": result_uri,
        "retake.run_key": training and training.key,
        "retake.airflow_run": settings.airflow_url,
    }
    return {name: value for name, value in attributes.items() if value}


@contextmanager
def _ending_at_sigterm() -> Iterator[None]:
    """Let blocks clean up at SIGTERM: above all, end the run in MLflow."""

    def end(*_: object) -> None:
        # torch's handler would raise that the worker processes of a loader, which got SIGTERM as well, were killed.
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        log.error("Terminated: this process got SIGTERM; the next try goes on")
        raise SystemExit(Terminated.exit_code)

    of_children = signal.getsignal(signal.SIGCHLD)
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGCHLD, of_children)


def _run(command: Command, arguments: Options, *, for_people: bool) -> str:
    """Run the step; return its result as a JSON line, or in words for people."""
    module = _module(command)
    from tasks.store.objects import Store, to_json  # here alone, so that help and a wrong command line do not wait for the S3 client

    store = Store.from_settings(load(StoreSettings))
    result: BaseModel = module.run(arguments, store)
    if for_people and hasattr(module, "in_words"):
        return "".join(f"{printable(without_secrets(line))}\n" for line in module.in_words(result, store))
    return to_json(result).decode()


def _module(command: Command) -> types.ModuleType:
    """Import the step's module with the garbage collector off: torch and MLflow take seconds less."""
    gc.disable()
    try:
        return import_module(command.full_module)
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] == "tasks":
            raise
        raise BadConfiguration(lacks(error, "tasks")) from None
    finally:
        gc.freeze()
        gc.enable()


if __name__ == "__main__":
    sys.exit(main())
