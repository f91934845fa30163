"""List the differences of two datasets: `python -m tasks diff DIGEST latest`."""

from collections.abc import Iterator

from tasks.loop.difference import difference, lines_of_difference
from tasks.loop.summary import find_manifest
from tasks.pipeline.loop.contract import DiffArguments
from tasks.store.objects import Store
from tasks.store.records.status import DiffResult


def run(arguments: DiffArguments, store: Store) -> DiffResult:
    """Compare both datasets; raise BadInput if a name fits none or several."""
    (before, earlier), (after, later) = (find_manifest(store, arguments.store_uri, name) for name in (arguments.before, arguments.after))
    return DiffResult(before=before, after=after, difference=difference(earlier, later))


def in_words(result: DiffResult, _: Store) -> Iterator[str]:
    """Write the result for a person."""
    return lines_of_difference(result)
