"""Any record, of which a test names the fields that matter to it."""

import types
import typing
from enum import Enum

from pydantic import BaseModel

PLAUSIBLE = {int: 1, float: 0.5, bool: True, tuple: (), list: [], dict: {}}


def some(record, **values):
    """Make a record with these values; other fields that it demands hold plausible ones."""
    demanded = {name: field.annotation for name, field in record.model_fields.items() if field.is_required() and name not in values}
    return record(**{name: _plausible(name, annotation) for name, annotation in demanded.items()}, **values)


def _plausible(name, annotation):
    origin, arguments = typing.get_origin(annotation) or annotation, typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        return None if type(None) in arguments else _plausible(name, arguments[0])
    if origin is typing.Literal:
        return arguments[0]
    if origin is str:
        return f"some {name.replace('_', ' ')}"
    if issubclass(origin, Enum):
        return next(iter(origin))
    return some(origin) if issubclass(origin, BaseModel) else PLAUSIBLE[origin]
