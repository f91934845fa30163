"""Find and write the results of steps, and read why others failed."""

import json
import logging
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from tasks.errors import BadConfiguration
from tasks.store.objects import Store
from tasks.store.stored import Output

if TYPE_CHECKING:
    from tasks.tracking import Tracker

log = logging.getLogger("retake")
R = TypeVar("R", bound=BaseModel)

LEAST_URGENT = 19
"""Niceness: a training or a prediction on the same cores goes first."""


def earlier_result(store: Store, output: Output[R]) -> R | None:
    """Find the result that an earlier run left."""
    if not store.exists(output.uri):
        return None
    log.info("found finished: %s", output.uri)
    return store.read(output)


def publish_files(
    store: Store, output: Output[R], files: Mapping[str, bytes], tracker: "Tracker", run_id: str, *folders: str | None
) -> None:
    """Write files, by address, beside the commit mark and into an MLflow run.

    In the run they have the same names, in each of `folders`, by default in its root.
    """
    with tempfile.TemporaryDirectory(prefix="retake-files-") as name:
        for uri, data in files.items():
            store.write_bytes(uri, data)
            file = Path(name) / output.name_of(uri)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        for folder in folders or (None,):
            tracker.log_artifacts(run_id, Path(name), folder)


def schema_of(model: type[BaseModel]) -> bytes:
    """Write the JSON schema of a record as a file."""
    return f"{json.dumps(model.model_json_schema(), sort_keys=True, indent=1)}\n".encode()


def with_limits(measured: Mapping[str, tuple[float, tuple[float, float]]]) -> dict[str, float]:
    """Name measured values and the limits of their intervals, for MLflow."""
    return {
        f"{name}{suffix}": number
        for name, (value, (low, high)) in measured.items()
        for suffix, number in (("", value), ("_low", low), ("_high", high))
    }


def finish(store: Store, output: Output[R], result: R) -> R:
    """Write the result last, as the commit mark."""
    store.write(output, result)
    log.info("wrote %s", output.uri)
    return result


def make_folder(folder: Path, *, is_empty: bool = False) -> None:
    """Make the folder of `--to`, or refuse it before any work."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if is_empty and any(folder.iterdir()):
            raise BadConfiguration(f"--to {folder}: it is not empty; name another folder, or empty it")
    except OSError as error:
        raise not_writable(folder, error) from None


def not_writable(folder: Path, error: OSError) -> BadConfiguration:
    """Name the folder of `--to` that cannot be written to."""
    return BadConfiguration(f"--to {folder}: {error.strerror or error}; name a folder that can be written to")


class Failure(BaseModel):
    """A failed step."""

    map_index: int
    step: str
    reason: str


def parse_failures(text: str) -> list[Failure]:
    """Parse the flag `--failures`; raise BadConfiguration unless it is a list of failures."""
    try:
        return TypeAdapter(list[Failure]).validate_json(text)
    except ValidationError as error:
        raise BadConfiguration(f"--failures is not a list of failures: {error.errors()[0]['msg']}") from None
