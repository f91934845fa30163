"""List the inputs of labelling.

Ingested videos with their names, annotation files, and EPIC's class lists.
"""

from concurrent.futures import ThreadPoolExecutor

from tasks.data.clips.class_lists import epic_list_uris
from tasks.data.labels.rows import AnnotationFile
from tasks.keys import content_key
from tasks.store.layout import Layout, is_probe
from tasks.store.objects import Store, StoredObject
from tasks.store.records.video import VideoRecord

MAX_ANNOTATION_BYTES = 64 << 20

NUM_THREADS = 16

SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".xml", ".eaf", ".zip")
"""Of files that may hold labels; their content says whether they do."""

BEFORE_ALL = "0001-01-01T00:00:00+00:00"


def annotation_objects(store: Store, store_uri: str) -> list[StoredObject]:
    """List annotation files in upload order: later ones override earlier ones."""
    listed = store.list(Layout(store_uri).annotations.folder_uri)
    return sorted((o for o in listed if o.name.lower().endswith(SUFFIXES)), key=lambda o: (o.modified, o.uri))


def last_upload(store: Store, store_uri: str) -> str:
    """Return the time of the latest annotation file by the store's clock.

    Without files, it is one before all files.
    """
    return max((listed.modified for listed in annotation_objects(store, store_uri)), default=BEFORE_ALL)


def annotation_file(store: Store, listed: StoredObject) -> AnnotationFile:
    """Read a listed annotation file, unless it is too large: S3 clients put files past the intake's limit."""
    if listed.size_bytes > MAX_ANNOTATION_BYTES:
        too_large = f"is larger than {MAX_ANNOTATION_BYTES >> 20} MiB and was not read; split it into several files"
        return AnnotationFile(listed.name, b"", unread=too_large)
    return AnnotationFile(listed.name, store.read_bytes(listed.uri))


def annotation_files(store: Store, store_uri: str) -> list[tuple[str, AnnotationFile]]:
    """Read the annotation files, in upload order, with their times of upload."""
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        return list(pool.map(lambda one: (one.modified, annotation_file(store, one)), annotation_objects(store, store_uri)))


def epic_list_objects(store: Store, store_uri: str) -> list[StoredObject]:
    """List EPIC-KITCHENS-55's class lists in the store."""
    found = [store.stat(uri) for uri in epic_list_uris(store_uri).values()]
    return [listed for listed in found if listed]


def probe_objects(store: Store, store_uri: str) -> list[StoredObject]:
    """List the probes of all ingested videos."""
    return [o for o in store.list(Layout(store_uri).videos) if is_probe(o.uri)]


def video_records(store: Store, store_uri: str) -> list[VideoRecord]:
    """Read the records of all ingested videos."""
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        return list(pool.map(lambda probe: store.read(probe.uri, VideoRecord), probe_objects(store, store_uri)))


def inputs_digest(store: Store, store_uri: str, recipe: str) -> str:
    """Hash all inputs of labelling but the page's labels; a new video, name or annotation file changes it."""
    objects = [*probe_objects(store, store_uri), *annotation_objects(store, store_uri), *epic_list_objects(store, store_uri)]
    return content_key({"recipe": recipe, "inputs": [(o.uri, o.etag) for o in objects]})
