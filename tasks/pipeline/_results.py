"""Find and write the results of steps, and read why others failed."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from tasks.errors import BadConfiguration
from tasks.store.objects import Store
from tasks.store.stored import Output

log = logging.getLogger("retake")
R = TypeVar("R", bound=BaseModel)

LEAST_URGENT = 19
"""Niceness: a training or a prediction on the same cores goes first."""


def finished(store: Store, output: Output[R]) -> R | None:
    """Find the result that an earlier run left."""
    if not store.exists(output.uri):
        return None
    log.info("found finished: %s", output.uri)
    return store.read(output)


def write_files(store: Store, output: Output[R], files: Mapping[str, bytes], folder: Path) -> None:
    """Write files, by address, beside the commit mark and into a folder for MLflow.

    They have the same names in the folder.
    """
    for uri, data in files.items():
        store.write_bytes(uri, data)
        file = folder / output.name_of(uri)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


def finish(store: Store, output: Output[R], result: R) -> R:
    """Write the result last, as the commit mark."""
    store.write(output, result)
    log.info("wrote %s", output.uri)
    return result


class Failure(BaseModel):
    """A failed step."""

    map_index: int
    step: str
    reason: str


def parse_failures(text: str) -> list[Failure]:
    """Parse the flag `--failures`.

    Raises:
        BadConfiguration: it is not a list of failures.
    """
    try:
        return TypeAdapter(list[Failure]).validate_json(text)
    except ValidationError as error:
        raise BadConfiguration(f"--failures is not a list of failures: {error.errors()[0]['msg']}") from None
