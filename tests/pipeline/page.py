"""Write docs/commands.md from the contracts of the steps: `python -m tests.pipeline.page`; with `--count`, count the options."""

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tasks import options
from tasks.local.home_folder import REPOSITORY
from tasks.options import Options
from tasks.pipeline.commands import COMMANDS
from tasks.pipeline.step import Command, Step

PAGE = REPOSITORY / "docs" / "commands.md"
HEAD = """\
# Commands

Each step of a DAG is a command: `python -m tasks STEP --…`. It reads from the object store and writes to it; servers and keys come from
[environment variables](settings.md#environment-variables). The last line on stdout is the result as JSON, logs go to stderr, and
[exit codes](architecture.md#how-a-step-talks) say whether a retry helps. Airflow, the containers and you run the same commands.

`python -m tasks STEP --help` lists the arguments with their defaults. A flag is the name with dashes, as in `--val-share=0.2`. A list has one flag
for each element, as in `--sources=a.mp4 --sources=b.mp4`. Switches are `--mirror` and `--no-mirror`. Steps follow one another as in their DAG.
Pass the address of an earlier step's result with `--plan`, `--labels` and so on; the log of a step names the address of its own.

This page is made from `tasks/pipeline/` by `make commands`."""
WORDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}


def page() -> str:
    """Write the whole page."""
    models = list(dict.fromkeys(model for step in COMMANDS.values() for model in step.options))
    overview = table(("Step", "DAG", "Does", "Image", "GPU"), map(_overview, COMMANDS.values()))
    options = [part for model in models for part in (f"### {_title(model)}", *_sections(model))]
    return "\n\n".join([HEAD, "## All commands", overview, "## Options", *options]) + "\n"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown."""
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *rows))


def _overview(step: Command) -> tuple[str, ...]:
    dags = "by hand" if not isinstance(step, Step) else ", ".join(f"`{dag}`" for dag in (step.dag, *step.also_in))
    return f"`{step.name}`", dags, step.summary, step.image, "yes" if step.gpu else ""


def _sections(model: type[Options]) -> Iterator[str]:
    """Write the table of a model's options; several sections have a table each, as in the form."""
    sections: dict[str, list[str]] = {}
    for name in model.model_fields:
        owner = next(base for base in model.__mro__ if issubclass(base, Options) and name in vars(base).get("__annotations__", {}))
        sections.setdefault(owner.section, []).append(name)
    for section, names in sections.items():
        if len(sections) > 1:
            yield f"#### {section}"
        yield _arguments(model, names)


def _title(model: type[BaseModel]) -> str:
    words = re.findall("[A-Z][a-z]*", model.__name__)
    return " ".join(words).capitalize()


def _arguments(model: type[BaseModel], names: Iterable[str]) -> str:
    return table(("Argument", "Default", "Meaning"), (_argument(model, name) for name in names))


@cache
def _schema(model: type[BaseModel]) -> dict[str, Any]:
    return model.model_json_schema()


def _argument(model: type[BaseModel], name: str) -> tuple[str, ...]:
    field, schema = model.model_fields[name], _schema(model)
    title = f"**{field.title}.**" if field.title else ""
    said = ". ".join(filter(None, (field.description, _allowed(schema, name))))
    meaning = " ".join(filter(None, (title, said))).replace("|", "\\|").replace("<", "&lt;")
    return f"`{name}`", _default(field, schema["properties"][name]), meaning


def _default(field: FieldInfo, schema: Mapping[str, Any]) -> str:
    if field.is_required():
        return "required"
    return "computed" if field.default_factory else _spelled(schema["default"])


def _spelled(default: object) -> str:
    if default is None:
        return "none"
    if default in ("", []):
        return "(empty)"
    if isinstance(default, bool):
        return "yes" if default else "no"
    if isinstance(default, list):
        return ", ".join(f"`{element}`" for element in default)
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def _allowed(schema: Mapping[str, Any], name: str) -> str:
    """Word the limits of a number, or the values to choose from."""
    field = schema["properties"][name]
    parts = [schema["$defs"][part["$ref"].rpartition("/")[2]] if "$ref" in part else part for part in field.get("anyOf", [field])]
    whole = {key: value for part in parts for key, value in part.items()}
    if "enum" in whole:
        return "One of " + ", ".join(f"`{value}`" for value in whole["enum"])
    if "minimum" in whole and "maximum" in whole:
        return f"{whole['minimum']} to {whole['maximum']}"
    limits = ", ".join(f"{word} {whole[key]}" for key, word in WORDS.items() if key in whole)
    return limits[:1].upper() + limits[1:]


def num_options() -> tuple[int, int]:
    """Count the options of all forms, each name once; also return the most that tests/budget.toml allows."""
    models = [model for model in vars(options).values() if isinstance(model, type) and issubclass(model, Options)]
    allowed = tomllib.loads((REPOSITORY / "tests" / "budget.toml").read_text())["options"]["names"]
    return len({name for model in models for name in model.model_fields}), allowed


if __name__ == "__main__":
    if "--count" in sys.argv:
        number, most = num_options()
        sys.stdout.write(f"{number} options; tests/budget.toml allows {most}\n")
        sys.exit(number > most)
    PAGE.write_text(page(), encoding="utf-8")
