"""Parse the command line `python -m tasks STEP --…`, one sub-command a step.

Some sub-commands have names of two words. The last line on stdout is the step's result as JSON; logs go to stderr; the exit code tells a
runner whether a retry can help (tasks/errors.py).
"""

import argparse
import re
import types
import typing
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, Literal, NoReturn

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from tasks.errors import BadConfiguration
from tasks.options import Options
from tasks.options.base import refusals
from tasks.options.dag_options import removal
from tasks.pipeline.step import Command, Step

FOLDERS = (
    "loop", "ingest_videos", "build_dataset", "labels", "retrain", "learning_curve", "compare_networks", "compare_versions", "search",
    "predict_videos", "export", "clean_up", "forget", "upkeep",
)  # fmt: skip
"""Those of the DAGs, and of the commands of one kind, as people read of them."""
COMMANDS: Mapping[str, Command] = {
    command.name: command
    for folder in FOLDERS
    for command in vars(import_module(f"tasks.pipeline.{folder}.contract")).values()
    if isinstance(command, Command)
}
AS_JSON = "--json"
"""A flag of the commands that people run; it is of the program, not of their arguments."""
STEPS: Mapping[str, Step[Any, Any]] = {name: command for name, command in COMMANDS.items() if isinstance(command, Step)}
"""Commands that DAGs run."""


class _Parser(argparse.ArgumentParser):
    """Ends a wrong command line with the exit code that every runner knows."""

    def error(self, message: str) -> NoReturn:
        raise BadConfiguration(f"{message}; see {self.prog} --help")


def parse(argv: Sequence[str]) -> tuple[Command, Options]:
    """Find the command that a command line names, and validate its arguments.

    Raises:
        BadConfiguration: there is no such command, or it does not take these arguments.
        SystemExit: help was requested, and printed.
    """
    parser = _Parser(prog="python -m tasks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "step", choices=COMMANDS, metavar="STEP", help="; ".join(f"{name}: {command.summary}" for name, command in COMMANDS.items())
    )
    num_words = 2 if " ".join(argv[:2]) in COMMANDS else 1
    command = COMMANDS[parser.parse_args([" ".join(argv[:num_words])] if argv else []).step]
    flags = (re.sub("^--(no-)?|=.*", "", word) for word in argv if word.startswith("--"))
    if removed := removal(flag.replace("-", "_") for flag in flags):
        raise BadConfiguration(f"{command.name}: {removed}")
    options = _Parser(prog=f"python -m tasks {command.name}", description=command.summary, argument_default=argparse.SUPPRESS)
    if not isinstance(command, Step):
        options.add_argument(AS_JSON, action="store_true", help="Print the result as JSON at a terminal, too")
    for name, field in command.arguments.model_fields.items():
        metavar, is_list = command.positional.get(name), _kind(field.annotation)[0] == "list"
        if metavar:
            nargs = "*" if is_list else None if field.is_required() else "?"
            options.add_argument(name, nargs=nargs, metavar=metavar, help=_help(field))
        if not metavar or not (is_list or field.is_required()):
            _add(options, name, field)
    values = vars(options.parse_args(argv[num_words:]))
    values.pop(AS_JSON.strip("-"), None)
    try:
        return command, command.arguments.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"--{re.sub('[_.]', '-', name)}: {reason}" if name else reason for name, reason in refusals(error, command.arguments)
        )
        raise BadConfiguration(f"{command.name}: {problems}") from None


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
    """Classify a field by its spelling on a command line, with its type."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
    if annotation is bool:
        return "bool", bool
    if typing.get_origin(annotation) in (list, tuple):
        return "list", str
    if typing.get_origin(annotation) is Literal and isinstance(typing.get_args(annotation)[0], int):
        return "scalar", int
    return "scalar", str
