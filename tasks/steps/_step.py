"""What every step shares: where it writes, and how it says that it is done."""

import logging
from typing import TypeVar

from pydantic import BaseModel

from tasks.options import Options, StoreUri
from tasks.store.objects import Store
from tasks.store.stored import Output

log = logging.getLogger("retake")
R = TypeVar("R", bound=BaseModel)


class StepArguments(Options):
    """The arguments of every step.

    `out` has the key of the form in it, which the DAG alone knows, and the runner of a container reads the result there.
    """

    store: StoreUri
    out: StoreUri


def finished(store: Store, output: Output[R]) -> R | None:
    """Find the result that an earlier run left."""
    if not store.exists(output.uri):
        return None
    log.info("found finished: %s", output.uri)
    return store.read(output)


def finish(store: Store, output: Output[R], result: R) -> R:
    """Write the commit mark, last of all."""
    store.write(output, result)
    return result
