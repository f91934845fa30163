"""Answer the page's requests with plain values that become JSON.

The page reads the summary of a store, a few small objects that steps write, and never lists the store.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from pydantic_core import to_jsonable_python

from tasks.loop.advice import Situation, next_steps, sentence
from tasks.loop.difference import difference
from tasks.loop.live import Live, disks
from tasks.loop.summary import count_statements, find_manifest, main_model, model_names, read_status
from tasks.settings import MachineSettings, load
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.record import now_utc
from tasks.store.records.status import LoopStatus

Json = dict[str, Any]
MAX_ROWS = 100
"""Rows of each list of a difference that the page shows; the command lists all."""


@dataclass(frozen=True)
class Samples:
    """The store of the sample videos, and the options of the ingest that `make run` starts on them."""

    store: str
    conf: Mapping[str, object]


def state(store: Store, store_uri: str, model_name: str, live: Live) -> Json:
    """Describe a store and one of its models; of an unknown one, the main model."""
    models = model_names(store, store_uri)
    status = read_status(store, store_uri, model_name if model_name in models else main_model(store, store_uri, models))
    empty = is_empty(store, store_uri, status)
    free_share = disks(load(MachineSettings).cache_dir)[0].free_share
    known = replace(live, now=now_utc(), num_statements=count_statements(store, status), disk_free_share=free_share, has_films=not empty)
    situation = Situation(status, known)
    return {
        "models": models,
        "status": status.model_dump(mode="json"),
        "sentence": f"There are no films in {store_uri} yet." if empty else sentence(status, known.now),
        "steps": [asdict(step) for step in next_steps(status, known, lambda path: path)],
        "num_statements": known.num_statements,
        "is_quiet": situation.is_quiet,
        "folders": to_jsonable_python(status.space.folders if status.space else ()),
        "disk_free_share": known.disk_free_share,
        "is_nearly_full": situation.is_nearly_full,
        "now": known.now,
        "is_empty": empty,
    }


def is_empty(store: Store, store_uri: str, status: LoopStatus) -> bool:
    """Check whether the store has no videos; a store that an earlier version filled has some, and no summary."""
    return status.films is None and status.dataset is None and next(iter(store.list(Layout(store_uri).videos)), None) is None


def dataset_difference(store: Store, store_uri: str, before: str, after: str) -> Json:
    """Compare two datasets; of a long list the first rows, and its length.

    Raises:
        BadInput: there is no such dataset, or several begin with the name.
    """
    (before_digest, first), (after_digest, second) = (find_manifest(store, store_uri, name) for name in (before, after))
    compared = to_jsonable_python(difference(first, second))
    rows = {name: value[:MAX_ROWS] if isinstance(value, list) else value for name, value in compared.items()}
    numbers = {name: len(value) for name, value in compared.items() if isinstance(value, list)}
    return {"before": before_digest, "after": after_digest, "rows": rows, "numbers": numbers}
