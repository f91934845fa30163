"""Finds addresses of the store that are assembled or taken apart in source code."""

import ast
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

ADDRESS = re.compile(r"(.*_)?(uri|out)", re.IGNORECASE)
"""Names of variables and fields that hold an address."""

SEGMENT = re.compile(r"/?([A-Za-z0-9][\w.-]*)(/|$)")
"""The first name of a path."""

SPLITTERS = frozenset({"partition", "removeprefix", "removesuffix", "rpartition", "rsplit", "split"})
TEMPLATE_WITH_TEXT = re.compile(r"\}\}[\w/]|\{store\}/")
"""What a DAG would write of an address that is filled in later."""


def vocabulary(layout: Sequence[Path]) -> frozenset[str]:
    """Give the names of the folders and files that these modules build addresses of."""
    nodes = [node for path in layout for node in ast.walk(ast.parse(path.read_text()))]
    texts = [part.value for node in nodes if isinstance(node, ast.JoinedStr) for part in node.values if _is_text(part)]
    texts += [node.args[0].value for node in nodes if isinstance(node, ast.Call) and node.args and _is_text(node.args[0])]
    return frozenset(segment for text in texts for segment in text.split("/") if re.fullmatch(r"[a-z_]{4,}(\.\w+)?", segment))


def assembled(source: str, names: frozenset[str]) -> list[int]:
    """Give the lines that assemble an address or take one apart.

    An address is a variable or a field named `…uri` or `out`, whatever has one of the layout's `names` right behind it, whatever stands
    behind `s3://`, and a template with text right behind it.
    """
    tree = ast.parse(source)
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return sorted({node.lineno for node in ast.walk(tree) if id(node) not in docs and _is_bad(node, names)})


def _is_bad(node: ast.AST, names: frozenset[str]) -> bool:
    match node:
        case ast.JoinedStr(values=parts):
            texts = [part.value for part in parts if _is_text(part)]
            return (
                _begins_path(parts, names)
                or any(_joins(*both) for both in pairwise(parts))
                or any(TEMPLATE_WITH_TEXT.search(text) for text in texts)
                # In a DAG: a template in a constant, with a folder behind it.
                or (any(map(_is_constant, parts)) and _is_text(parts[-1]) and parts[-1].value.endswith("/"))
            )
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return any(_joins(one, other) or _begins_path([one, other], names) for one in _last(left) for other in _first(right))
        case ast.Constant(value=str(text)):
            return bool(TEMPLATE_WITH_TEXT.search(text))
        case ast.Call(func=ast.Attribute(attr=method, value=of)):
            return method in SPLITTERS and _is_address(of)
        case _:
            return False


def _begins_path(parts: Sequence[ast.AST], names: frozenset[str]) -> bool:
    """Whether a value comes first, and a name of the layout right behind it."""
    match parts:
        case [first, ast.Constant(value=str(text)), *_] if not _is_text(first):
            found = SEGMENT.match(text)
            return found is not None and found[1] in names
        case _:
            return False


def _joins(left: ast.AST, right: ast.AST) -> bool:
    """Whether two neighbours in a text are an address with a path behind it, or `s3://` with anything behind it."""
    if _is_text(left):
        return left.value.endswith("s3://")
    if not _is_address(left):
        return False
    return not _is_text(right) or right.value == "/" or SEGMENT.match(right.value) is not None


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def _is_constant(node: ast.AST) -> bool:
    return isinstance(node, ast.FormattedValue) and isinstance(node.value, ast.Name) and node.value.id.isupper()


def _is_address(node: ast.AST) -> bool:
    match node:
        case ast.FormattedValue(value=value):
            return _is_address(value)
        case ast.Call(func=ast.Attribute(value=value, attr="rstrip" | "removesuffix")):
            return _is_address(value)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return ADDRESS.fullmatch(name) is not None
        case _:
            return False


def _last(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.JoinedStr(values=[*_, last]) | ast.BinOp(op=ast.Add(), right=last):
            yield from _last(last)
        case _:
            yield node


def _first(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.JoinedStr(values=[first, *_]):
            yield from _first(first)
        case _:
            yield node
