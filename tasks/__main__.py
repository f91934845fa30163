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

from tasks.disk import own_temporary_folder
from tasks.errors import BadConfiguration, RetakeError
from tasks.refusals import refusals
from tasks.settings import StoreSettings, load
from tasks.steps import COMMANDS, module_of
from tasks.store.objects import Store, to_json
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
    sys.stdout.write(to_json(result).decode())
    return 0


def _run(step: str, values: dict[str, object]) -> BaseModel:
    module = _module(step)
    try:
        arguments = module.Arguments.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"--{re.sub('[_.]', '-', name)}: {reason}" if name else reason for name, reason in refusals(error, module.Arguments)
        )
        raise BadConfiguration(f"{step}: {problems}") from None
    result: BaseModel = module.run(arguments, Store.from_settings(load(StoreSettings)))
    return result


def _module(step: str) -> types.ModuleType:
    """The step's module. What importing makes lives until the end, so the collector never looks at it: that saves seconds of torch and MLflow."""
    gc.disable()
    try:
        return import_module(module_of(step))
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


def _parse(argv: list[str]) -> tuple[str, dict[str, object]]:
    parser = _Parser(prog="python -m tasks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "step", choices=COMMANDS, metavar="STEP", help="; ".join(f"{name}: {command.summary}" for name, command in COMMANDS.items())
    )
    step = parser.parse_args(argv[:1]).step
    model: type[BaseModel] = _module(step).Arguments
    options = _Parser(prog=f"python -m tasks {step}", description=COMMANDS[step].summary, argument_default=argparse.SUPPRESS)
    positional: dict[str, str] = getattr(_module(step), "POSITIONAL", {})
    for name, field in model.model_fields.items():
        if metavar := positional.get(name):
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
