"""Record every decision as an object, as version tags, and in `decisions.csv`."""

from tasks.csv_table import csv_table
from tasks.keys import content_key
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.decision import DecisionRecord
from tasks.store.stored import Stored
from tasks.tracking import PROVISIONAL_TAG, Registry
from tasks.wording import plain_cell


def kept_decision(store: Store, store_uri: str, key: str) -> DecisionRecord | None:
    """Read the decision that an earlier try recorded under this key, if any."""
    at = _at(store_uri, key)
    return store.read(at) if store.exists(at.uri) else None


def keep_decision(store: Store, store_uri: str, key: str, decision: DecisionRecord, registry: Registry) -> None:
    """Tag the version and add the decision to the table. Idempotent for the same decision and key."""
    registry.set_tags(
        decision.model_name,
        decision.version,
        {
            "retake.decision": decision.event,
            "retake.decision_reason": decision.reason,
            "retake.decided_by": decision.decided_by,
            "retake.decided_at": decision.time,
            PROVISIONAL_TAG: str(decision.provisional).lower(),
        },
    )
    if decision.event != "kept" and decision.champion_before not in (None, decision.version):
        registry.set_tags(decision.model_name, decision.champion_before, {PROVISIONAL_TAG: "false"})
    store.write(_at(store_uri, key), decision)
    _write_table(store, store_uri)


def kept_decisions(store: Store, store_uri: str) -> list[DecisionRecord]:
    """Read all decisions in this store, on any model."""
    return [store.read(found.uri, DecisionRecord) for found in store.list(Layout(store_uri).decisions)]


def _write_table(store: Store, store_uri: str) -> None:
    """Write the table of all objects.

    Repeat if one was added meanwhile, so that the last of several writers includes every line.
    """
    written: list[str] | None = None
    while (found := sorted(o.uri for o in store.list(Layout(store_uri).decisions))) != written:
        records = [store.read(uri, DecisionRecord) for uri in found]
        store.write_bytes(Layout(store_uri).decisions_table, _table(records))
        written = found


def _table(records: list[DecisionRecord]) -> bytes:
    in_order = sorted(records, key=lambda record: (record.time, record.version))
    return csv_table(
        DecisionRecord.model_fields, ({name: plain_cell(value) for name, value in record.model_dump().items()} for record in in_order)
    )


def _at(store_uri: str, key: str) -> Stored[DecisionRecord]:
    return Layout(store_uri).decision(content_key({"decision": key}))
