"""Read the summary of a store, and keep its parts up to date."""

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from tasks.data.clips.label_inputs import count_entries
from tasks.errors import BadInput, MissingObject
from tasks.options import RegisterOptions
from tasks.store.layout import Layout
from tasks.store.objects import Store, to_json
from tasks.store.records.dataset import Manifest
from tasks.store.records.record import Record
from tasks.store.records.status import LoopStatus
from tasks.store.stored import Stored, last_name
from tasks.wording import some

log = logging.getLogger("retake")
R = TypeVar("R", bound=Record)

NUM_TRIES = 5
LATEST = "latest"


def read_status(store: Store, store_uri: str, model_name: str) -> LoopStatus:
    """Read all parts of the summary; one that is missing, or that another version wrote, is None."""
    at = Layout(store_uri).status
    model = at.of_model(model_name)
    return LoopStatus(
        store=store_uri,
        model_name=model_name,
        films=read_known(store, at.films),
        labels=read_known(store, at.labels),
        dataset=read_known(store, at.dataset),
        training=read_known(store, model.training),
        model=read_known(store, model.model),
        predictions=read_known(store, at.predictions),
        space=read_known(store, at.space),
    )


def model_names(store: Store, store_uri: str) -> tuple[str, ...]:
    """List the models that were planned or decided on."""
    return tuple(map(last_name, store.folders(Layout(store_uri).status.models)))


def main_model(store: Store, store_uri: str, names: Sequence[str] | None = None) -> str:
    """Choose the model that is shown unless a person names another; empty if there is none.

    It is the one of the default name, else the one that was decided on last.

    Args:
        names: as `model_names` lists them; None lists them here.
    """
    names, default = model_names(store, store_uri) if names is None else names, RegisterOptions().model_name
    if default in names or len(names) < 2:
        return default if default in names else next(iter(names), "")
    models = Layout(store_uri).status
    decided = {name: known.at if (known := read_known(store, models.of_model(name).model)) else "" for name in names}
    return max(names, key=lambda name: decided[name])


def count_statements(store: Store, status: LoopStatus) -> int:
    """Count the statements of the labelling page now, by one request if none came since labels were gathered."""
    known = status.labels.num_statements if status.labels else 0
    return count_entries(store, status.store) if store.exists(Layout(status.store).label_log.entry(known).uri) else known


def read_known(store: Store, place: Stored[R]) -> R | None:
    """Read a record; None if it is missing, or another version wrote it."""
    try:
        return store.read(place)
    except BadInput:
        return None


def keep(store: Store, place: Stored[R], make: Callable[[R | None], R | None]) -> None:
    """Write a part of the summary, made from the earlier one; None, or another time alone, leaves it as it is.

    Of two steps at once the last writer wins: it makes its part anew from what the other has written, and each part is complete by itself.
    Whatever fails here is only logged, because no step may fail, or end otherwise, for its summary.
    """
    try:
        for _ in range(NUM_TRIES):
            listed_now = store.stat(place.uri)
            earlier = read_known(store, place) if listed_now else None
            part = make(earlier)
            if part is None or (earlier and _but_time(part) == _but_time(earlier)):
                return
            if store.replace_bytes(place.uri, to_json(part), listed_now):
                return
        log.warning("the summary keeps its earlier %s: other steps keep writing it", place.uri)
    except Exception as error:  # noqa: BLE001 - a summary is worth less than the step
        log.warning("the summary keeps its earlier %s: %s: %s", place.uri, type(error).__name__, error)


def find_manifest(store: Store, store_uri: str, name: str) -> tuple[str, Manifest]:
    """Find a dataset by its digest, the beginning of that, or as `latest`; return digest and manifest.

    Raises:
        BadInput: there is none, or several begin so.
    """
    layout = Layout(store_uri)
    if name == LATEST:
        digests = [store.read(layout.latest_dataset).digest] if store.exists(layout.latest_dataset.uri) else []
    else:
        digests = [digest for digest in map(last_name, store.folders(layout.latest_dataset.folder_uri)) if name and digest.startswith(name)]
    if len(digests) != 1:
        choice = f"these begin so: {some(digests)}" if digests else "`python -m tasks status` names those that there are"
        raise BadInput(f"{store_uri} has {'no' if not digests else 'more than one'} dataset {name}; {choice}")
    try:
        return digests[0], store.read(layout.dataset(digests[0]).manifest)
    except MissingObject:
        raise BadInput(f"dataset {digests[0]} has no manifest in {store_uri}, so it was not finished, or it was deleted") from None


def _but_time(part: Record) -> dict[str, object]:
    return part.model_dump(exclude={"at"})
