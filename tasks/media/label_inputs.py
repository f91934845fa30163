"""List the inputs of labelling.

Ingested videos with their names, annotation files, and EPIC's class lists.
"""

from tasks.keys import content_key
from tasks.media.class_lists import epic_list_uris
from tasks.store.layout import Layout, is_probe
from tasks.store.objects import Store, StoredObject

SUFFIXES = (".csv", ".tsv", ".txt", ".json", ".xml", ".eaf", ".zip")
"""Of files that may hold labels; their content says whether they do."""


def annotation_objects(store: Store, store_uri: str) -> list[StoredObject]:
    """List annotation files in upload order: later ones override earlier ones."""
    layout = Layout(store_uri)
    of_page = layout.label_log.folder_uri
    listed = store.list(layout.annotations.folder_uri)
    found = [o for o in listed if o.name.lower().endswith(SUFFIXES) and not o.uri.startswith(of_page)]
    return sorted(found, key=lambda o: (o.modified, o.uri))


def epic_list_objects(store: Store, store_uri: str) -> list[StoredObject]:
    """List EPIC-KITCHENS-55's class lists in the store."""
    found = [store.stat(uri) for uri in epic_list_uris(store_uri).values()]
    return [listed for listed in found if listed]


def probe_objects(store: Store, store_uri: str) -> list[StoredObject]:
    """List the probes of all ingested videos."""
    return [o for o in store.list(Layout(store_uri).videos) if is_probe(o.uri)]


def inputs_digest(store: Store, store_uri: str, recipe: str) -> str:
    """Hash all inputs of labelling but the page's labels; a new video, name or annotation file changes it."""
    objects = [*probe_objects(store, store_uri), *annotation_objects(store, store_uri), *epic_list_objects(store, store_uri)]
    return content_key({"recipe": recipe, "inputs": [(o.uri, o.etag) for o in objects]})
