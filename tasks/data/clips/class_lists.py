"""Download EPIC-KITCHENS-55's class lists into the store, next to its weights."""

import logging
import tempfile
from pathlib import Path

from tasks.download import download
from tasks.errors import BadInput, Unavailable
from tasks.store.layout import Layout
from tasks.store.objects import Store

log = logging.getLogger("retake")

ADDRESS = "https://raw.githubusercontent.com/epic-kitchens/epic-kitchens-55-annotations/master/"
HEADERS = {"verb": b"verb_id,", "noun": b"noun_id,"}
MAX_LIST_BYTES = 1 << 20


def epic_list_uris(store_uri: str) -> dict[str, str]:
    """Return the address of each target's list."""
    return {target: Layout(store_uri).pretrained(_file(target)) for target in HEADERS}


def keep_epic_lists(store: Store, store_uri: str, *, allow_private: bool) -> None:
    """Download the missing lists; without them, words get ids from the store.

    Networks with EPIC's weights use the lists' ids. Log a warning for a list that is not available.
    """
    for target, uri in epic_list_uris(store_uri).items():
        if store.exists(uri):
            continue
        with tempfile.TemporaryDirectory(prefix="retake-weights-") as folder:
            path = Path(folder) / _file(target)
            try:
                download(f"{ADDRESS}{path.name}", path, max_bytes=MAX_LIST_BYTES, allow_private=allow_private)
                if not path.read_bytes().startswith(HEADERS[target]):
                    raise BadInput(f"{ADDRESS}{path.name} is not a list of classes")
            except (BadInput, Unavailable) as error:
                log.warning("%s; or put %s under pretrained/ of the store", error, path.name)
            else:
                store.write_file(uri, path)


def _file(target: str) -> str:
    return f"EPIC_{target}_classes.csv"
