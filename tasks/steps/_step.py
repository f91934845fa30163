"""Find and write the results of steps."""

import logging
from typing import TypeVar

from pydantic import BaseModel

from tasks.store.objects import Store
from tasks.store.stored import Output

log = logging.getLogger("retake")
R = TypeVar("R", bound=BaseModel)


def finished(store: Store, output: Output[R]) -> R | None:
    """Find the result that an earlier run left."""
    if not store.exists(output.uri):
        return None
    log.info("found finished: %s", output.uri)
    return store.read(output)


def finish(store: Store, output: Output[R], result: R) -> R:
    """Write the result last, as the commit mark."""
    store.write(output, result)
    return result
