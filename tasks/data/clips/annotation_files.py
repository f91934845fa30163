"""Copy annotation files from other sources to `annotations/`, where later files override earlier ones."""

import hashlib
import re
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePosixPath

from tasks.data.clips.intake import Intake
from tasks.data.clips.label_inputs import annotation_objects
from tasks.data.clips.sources import IncomingFile
from tasks.data.labels.formats import formats
from tasks.data.labels.reading import layout_of
from tasks.data.labels.rows import AnnotationFile
from tasks.errors import BadInput, BadLabels
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.video import SeenFile
from tasks.store.stored import Folder, check_key

TICK_SECONDS = 1.1
"""Minimum gap between uploads. The store's times are whole seconds, and files of the same second are ordered by name."""

NO_LABELS = "no annotation file: "
_KEPT = re.compile(r"(.*)-[0-9a-f]{8}(\.[a-z0-9]+)", re.DOTALL)


def keep_annotations(
    store: Store, store_uri: str, intake: Intake, files: Sequence[IncomingFile], known: Mapping[tuple[str, str], SeenFile]
) -> list[SeenFile]:
    """Store every annotation file, named by its content; set unreadable ones aside, and other files of such suffixes.

    A CSV file is kept whatever it holds: the step `label` says what is wrong with it.

    A file that is already stored is written again if a later one of the same name would override it, unless it is unchanged in the inbox.
    """
    folder = Layout(store_uri).annotations
    kept = [folder.name_of(listed.uri) for listed in annotation_objects(store, store_uri)]
    wanted: dict[str, bytes] = {}
    seen = []
    for incoming in files:
        earlier = known.get((incoming.name, incoming.etag))
        if earlier and earlier.reason and (_is_csv(incoming) or earlier.reason.startswith(NO_LABELS)):
            seen.append(earlier)
            continue
        read: list[tuple[str, bytes]] = []

        def keep(content: bytes, incoming: IncomingFile = incoming, read: list[tuple[str, bytes]] = read) -> None:
            if not _is_csv(incoming):
                _require_labels(incoming.name, content)
            name = kept_name(incoming.name, content)
            check_key(folder.file(name))
            read.append((name, content))

        seen.append(intake.take_annotation(incoming, keep).model_copy(update={"kept_as": "".join(name for name, _ in read)}))
        for name, content in read:
            if earlier and name in kept:
                continue
            wanted.pop(name, None)
            wanted[name] = content
    _write(store, folder, kept, wanted)
    return seen


def write_latest(store: Store, store_uri: str, wanted: Mapping[str, bytes]) -> None:
    """Store annotation files so that they are the latest of their names; `wanted` has them by `kept_name`, in order."""
    folder = Layout(store_uri).annotations
    _write(store, folder, [folder.name_of(listed.uri) for listed in annotation_objects(store, store_uri)], wanted)


def _write(store: Store, folder: Folder, kept: Sequence[str], wanted: Mapping[str, bytes]) -> None:
    latest = kept[-1] if kept else ""
    for name in to_write(kept, list(wanted)):
        if name < latest:
            time.sleep(TICK_SECONDS)
        store.write_bytes(folder.file(name), wanted[name])
        latest = name


def kept_name(name: str, content: bytes) -> str:
    """Name an annotation file by its content, such as `labels-0123abcd.csv`."""
    path = PurePosixPath(name)
    suffix = path.suffix.lower() if path.suffix.lower() in formats().suffixes else ".txt"
    return f"{path.stem}-{hashlib.sha256(content).hexdigest()[:8]}{suffix}"


def _is_csv(incoming: IncomingFile) -> bool:
    return incoming.name.lower().endswith(".csv")


def _require_labels(name: str, content: bytes) -> None:
    try:
        layout_of(AnnotationFile(PurePosixPath(name).name, content))
    except BadLabels as error:
        raise BadInput(f"{NO_LABELS}it {error}") from None


def to_write(kept: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """Choose the files to upload so that `wanted` are the latest of every stem. `kept` is in upload order."""
    kept_by_stem, wanted_by_stem = _by_stem(kept), _by_stem(wanted)
    missing = {name for stem, names in wanted_by_stem.items() for name in _rest(kept_by_stem[stem], names)}
    return [name for name in wanted if name in missing]


def _rest(kept: Sequence[str], wanted: Sequence[str]) -> Sequence[str]:
    """Drop the longest start of `wanted` that `kept` already ends with."""
    for number in range(min(len(kept), len(wanted)), 0, -1):
        if kept[-number:] == wanted[:number]:
            return wanted[number:]
    return wanted


def _by_stem(names: Iterable[str]) -> defaultdict[str, list[str]]:
    by_stem: defaultdict[str, list[str]] = defaultdict(list)
    for name in names:
        if match := _KEPT.fullmatch(name):
            by_stem[match[1] + match[2]].append(name)
    return by_stem
