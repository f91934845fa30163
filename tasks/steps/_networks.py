"""Networks as steps need them: fetched from the store, and named."""

import hashlib
from pathlib import Path

from tasks.errors import BadCheckpoint
from tasks.model.checkpoints import Saved, load
from tasks.storage import Store

CHECKPOINT = "network.ckpt"


def file_sha256(path: Path) -> str:
    """The hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch_network(store: Store, uri: str, sha256: str, folder: Path) -> Saved:
    """A checkpoint of ours from the store, verified by its hash, which is left as `CHECKPOINT` in the folder.

    Raises:
        MissingObject: there is none.
        BadCheckpoint: its content is not what was recorded.
    """
    path = folder / CHECKPOINT
    store.read_file(uri, path)
    if file_sha256(path) != sha256:
        raise BadCheckpoint(f"{uri} is not the file that was recorded (sha256 {sha256[:8]}…); run the step that writes it again")
    return load(path)
