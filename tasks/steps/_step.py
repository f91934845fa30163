"""What every step shares: where it writes, and how it says that it is done."""

import logging
from typing import TypeVar

from pydantic import BaseModel

from tasks.options import Options, StoreUri
from tasks.store.objects import Store

log = logging.getLogger("retake")
R = TypeVar("R", bound=BaseModel)


class StepArguments(Options):
    """The arguments of every step."""

    store: StoreUri
    out: StoreUri


def result_uri(out: str) -> str:
    """Where a step that writes under `out` leaves its commit mark."""
    return f"{out.rstrip('/')}/result.json"


def finished(store: Store, out: str, model: type[R]) -> R | None:
    """The result that an earlier run left under `out`, or None."""
    uri = result_uri(out)
    if not store.exists(uri):
        return None
    log.info("found finished: %s", uri)
    return store.read(uri, model)


def finish(store: Store, out: str, result: R) -> R:
    """Write the commit mark, last of all."""
    store.write(result_uri(out), result)
    return result
