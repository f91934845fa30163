"""Read the summary of a store. STUB."""

from typing import TypeVar

from pydantic import BaseModel

from tasks.errors import BadInput
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import Manifest
from tasks.store.records.status import LoopStatus
from tasks.store.stored import Stored, last_name

M = TypeVar("M", bound=BaseModel)


def read_status(store: Store, store_uri: str, model_name: str) -> LoopStatus:
    """Read the parts that are there."""

    def part(at: Stored[M]) -> M | None:
        try:
            return store.read(at)
        except BadInput:
            return None

    of_store = Layout(store_uri).status
    of_model = of_store.of_model(model_name)
    return LoopStatus(
        store=store_uri,
        model_name=model_name,
        films=part(of_store.films),
        labels=part(of_store.labels),
        dataset=part(of_store.dataset),
        training=part(of_model.training),
        model=part(of_model.model),
        predictions=part(of_store.predictions),
        space=part(of_store.space),
    )


def model_names(store: Store, store_uri: str) -> tuple[str, ...]:
    """List the models of a store."""
    return tuple(last_name(folder) for folder in store.folders(Layout(store_uri).status.models))


def find_manifest(store: Store, store_uri: str, name: str) -> tuple[str, Manifest]:
    """Find a dataset by its digest, or `latest`."""
    digest = store.read(Layout(store_uri).latest_dataset).digest if name == "latest" else name
    return digest, store.read(Layout(store_uri).dataset(digest).manifest)


def count_statements(store: Store, status: LoopStatus) -> int:
    """Count the statements of the label log: from the number that the last build read on, in steps that double."""
    log = Layout(status.store).label_log
    low = status.labels.num_statements if status.labels else 0
    step = 1
    while store.exists(log.entry(low + step - 1).uri):
        low, step = low + step, 2 * step
    while step > 1:
        step //= 2
        if store.exists(log.entry(low + step - 1).uri):
            low += step
    return low
