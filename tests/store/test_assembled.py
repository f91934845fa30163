"""Every address of the store is made in `tasks/store/`, and nowhere else."""

import ast
import re
from collections.abc import Sequence
from pathlib import Path

import pytest

from tasks.local.home_folder import REPOSITORY

STORE = REPOSITORY / "tasks" / "store"
CODE = [path for room in ("tasks", "dags") for path in sorted((REPOSITORY / room).rglob("*.py")) if STORE not in path.parents]

ADDRESS = r"(?i:\b(\w*_)?(uri|out))(\.(rstrip|removesuffix)\([^{}]*\))?"
"""A variable or a field that holds an address."""

TAKEN_APART = re.compile(rf"{ADDRESS}\.(partition|removeprefix|removesuffix|rpartition|rsplit|split)")
TEMPLATE_WITH_TEXT = re.compile(r"\}\}[\w/]|\{store\}/")
"""What a DAG would write of an address that is filled in later."""

CONSTANT_FOLDER = re.compile(r"(?s)(.*\})?\{[A-Z_]+\}.*/")
"""In a DAG: a template in a constant, with a folder behind it."""


def vocabulary(layout: Sequence[Path]) -> re.Pattern[str]:
    """Match a text that begins with a value and a folder or file of which these modules build addresses, or holds an address with a path."""
    nodes = [node for path in layout for node in ast.walk(ast.parse(path.read_text()))]
    texts = [part.value for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values if _is_text(part)]
    texts += [node.args[0].value for node in nodes if isinstance(node, ast.Call) and node.args and _is_text(node.args[0])]
    names = {re.escape(name) for text in texts for name in text.split("/") if re.fullmatch(r"[a-z_]{4,}(\.\w+)?", name)}
    end = r"(/|\{|$)"
    return re.compile(rf"^(\{{[^{{}}]*\}})+/?({'|'.join(sorted(names))}){end}|s3://\{{|{ADDRESS}\}}(\{{|/$|/?[A-Za-z0-9][\w.-]*{end})")


def assembled(source: str, paths: re.Pattern[str]) -> list[int]:
    """Give the lines that assemble an address or take one apart."""
    nodes = list(ast.walk(ast.parse(source)))
    docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    return sorted({node.lineno for node in nodes if id(node) not in docs and _is_bad(node, paths)})


def _is_bad(node: ast.AST, paths: re.Pattern[str]) -> bool:
    match node:
        case ast.JoinedStr() | ast.BinOp(op=ast.Add()):
            text = _rendered(node)
            return bool(paths.search(text) or TEMPLATE_WITH_TEXT.search(text) or CONSTANT_FOLDER.fullmatch(text))
        case ast.Constant(value=str(text)):
            return bool(TEMPLATE_WITH_TEXT.search(text))
        case ast.Call(func=ast.Attribute() as method):
            return TAKEN_APART.search(ast.unparse(method)) is not None
        case _:
            return False


def _rendered(node: ast.AST) -> str:
    """Each value in braces, each text as it is."""
    match node:
        case ast.JoinedStr(values=parts):
            return "".join(map(_rendered, parts))
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return _rendered(left) + _rendered(right)
        case ast.Constant(value=str(text)):
            return text
        case ast.FormattedValue(value=value):
            return _rendered(value)
        case _:
            return f"{{{re.sub('[{}]', '', ast.unparse(node))}}}"


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


PATHS = vocabulary([path for path in STORE.glob("*.py") if path.stem != "objects"])


def test_no_other_file_makes_an_address():
    lines = {str(path.relative_to(REPOSITORY)): assembled(path.read_text(), PATHS) for path in CODE}
    assert {path: numbers for path, numbers in lines.items() if numbers} == {}


@pytest.mark.parametrize(
    "planted",
    [
        'f"{plan.run_uri}train/"',
        'f"{arguments.out}labels.json"',
        'f"{root}/runs/{key}/"',
        'f"{uri}{name}"',
        "f\"{uri.rstrip('/')}/result.json\"",
        'f"s3://{bucket}/x"',
        'store_uri + "/new"',
        'decided.uri.removesuffix("decide/result.json")',
        '"{store}/ingests/{key}/"',
        '"{{ task.mapped.out }}weights/"',
        'f"{DECISION}plan/"',
        "f\"{_planned('run_uri')}train/\"",
    ],
)
def test_an_address_that_is_assembled_is_found(planted):
    assert assembled(f'"""Writes `{{store}}/x`."""\nmade = {planted}\n', PATHS) == [2]


@pytest.mark.parametrize(
    "harmless",
    [
        'f"{plan.run_uri} is gone; run the step again"',
        'f"{url}/artifacts/report.html"',
        'f"{stage}/loss"',
        'Layout("{store}").ingest("{key}")',
        '"{{ task.mapped.name | truncate(100) }}"',
        "f\"{{{{ ti.xcom_pull(task_ids='{GROUP}.plan')['{field}'] }}}}\"",
    ],
)
def test_other_texts_are_left_alone(harmless):
    assert assembled(f"made = {harmless}\n", PATHS) == []
