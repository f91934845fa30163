"""The command line: `python -m tasks STEP --…`, one sub-command a step.

The last line on stdout is the step's result as JSON; logs go to stderr; the exit code tells a runner whether a retry can help (tasks/errors.py).
"""

import argparse
import gc
import logging
import re
import sys
import types
import typing
from importlib import import_module
from typing import Literal, NoReturn

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from tasks.contracts.commands import COMMANDS
from tasks.contracts.step import Step
from tasks.disk import own_temporary_folder
from tasks.errors import BadConfiguration, RetakeError
from tasks.refusals import refusals
from tasks.settings import StoreSettings, load
from tasks.wording import printable

log = logging.getLogger("retake")


def main(argv: list[str] | None = None) -> int:
    """Run one step and return its exit code."""
    arguments = sys.argv[1:] if argv is None else argv
    to_stderr = logging.StreamHandler()
    to_stderr.setFormatter(_Printable("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[to_stderr])
    for chatty in ("httpx", "urllib3", "matplotlib", "botocore", "alembic", "mlflow.store"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        step, values = _parse(arguments)
        with own_temporary_folder():
            result = _run(step, values)
    except RetakeError as error:
        log.error("%s: %s", type(error).__name__, error)
        return error.exit_code
    sys.stdout.write(result)
    return 0


def _run(step: Step, values: dict[str, object]) -> str:
    """Run the step; gives its result as one line of JSON."""
    try:
        arguments = step.arguments.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"--{re.sub('[_.]', '-', name)}: {reason}" if name else reason for name, reason in refusals(error, step.arguments)
        )
        raise BadConfiguration(f"{step.name}: {problems}") from None
    module = _module(step)
    from tasks.store.objects import Store, to_json  # here alone, so that help and a wrong command line do not wait for the S3 client

    result: BaseModel = module.run(arguments, Store.from_settings(load(StoreSettings)))
    return to_json(result).decode()


def _module(step: Step) -> types.ModuleType:
    """Import the step's module. Imported objects are never freed, so the collector is off meanwhile: that saves seconds of torch and MLflow."""
    gc.disable()
    try:
        return import_module(step.full_module)
    finally:
        gc.freeze()
        gc.enable()


class _Printable(logging.Formatter):
    """Formats messages for a terminal: the names of people's files are among them."""

    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record), kept="\n\t")


class _Parser(argparse.ArgumentParser):
    """Ends a wrong command line with the exit code that every runner knows, not with argparse's own."""

    def error(self, message: str) -> NoReturn:
        raise BadConfiguration(f"{message}; see {self.prog} --help")


def _parse(argv: list[str]) -> tuple[Step, dict[str, object]]:
    parser = _Parser(prog="python -m tasks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "step", choices=COMMANDS, metavar="STEP", help="; ".join(f"{name}: {step.summary}" for name, step in COMMANDS.items())
    )
    step = COMMANDS[parser.parse_args(argv[:1]).step]
    options = _Parser(prog=f"python -m tasks {step.name}", description=step.summary, argument_default=argparse.SUPPRESS)
    for name, field in step.arguments.model_fields.items():
        if metavar := step.positional.get(name):
            options.add_argument(name, nargs="*", metavar=metavar, help=_help(field))
        else:
            _add(options, name, field)
    return step, vars(options.parse_args(argv[1:]))


def _add(parser: argparse.ArgumentParser, name: str, field: FieldInfo) -> None:
    flag, text = f"--{name.replace('_', '-')}", _help(field)
    kind, of = _kind(field.annotation)
    if kind == "bool":
        parser.add_argument(flag, dest=name, action=argparse.BooleanOptionalAction, help=text)
    elif kind == "list":
        parser.add_argument(flag, dest=name, action="append", help=text)
    else:
        parser.add_argument(flag, dest=name, type=of, required=field.is_required(), help=text, metavar=name.upper())


def _help(field: FieldInfo) -> str:
    text = ". ".join(filter(None, (field.title, field.description))).replace("%", "%%")
    if not field.is_required():
        text += f" (default: {field.get_default(call_default_factory=True, validated_data={})})"
    return text


def _kind(annotation: object) -> tuple[Literal["bool", "list", "scalar"], type]:
    """How a field is spelled on a command line; numbers are told from text so that a Literal of numbers matches."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
    if annotation is bool:
        return "bool", bool
    if typing.get_origin(annotation) in (list, tuple):
        return "list", str
    if typing.get_origin(annotation) is Literal and isinstance(typing.get_args(annotation)[0], int):
        return "scalar", int
    return "scalar", str


if __name__ == "__main__":
    sys.exit(main())
