"""Fetch checkpoints from the store, and keep those to start from."""

import tempfile
from pathlib import Path

from tasks.errors import BadCheckpoint, MissingObject
from tasks.keys import file_sha256
from tasks.learn.networks.checkpoints import Saved, load
from tasks.pipeline._trained import Trained
from tasks.store.layout import Layout
from tasks.store.objects import Store

CHECKPOINT = "network.ckpt"


def fetch_network(store: Store, uri: str, sha256: str, folder: Path | None = None) -> Saved:
    """Fetch a checkpoint and verify its hash; leave it in `folder`, if given, as `CHECKPOINT`.

    Raises:
        MissingObject: the store does not have it.
        BadCheckpoint: its hash is not the recorded one.
    """
    with tempfile.TemporaryDirectory(prefix="retake-network-") as name:
        path = (folder or Path(name)) / CHECKPOINT
        store.read_file(uri, path)
        if file_sha256(path) != sha256:
            raise BadCheckpoint(f"{uri} is not the file that was recorded (sha256 {sha256[:8]}…); run the step that writes it again")
        return load(path)


def keep_network(path: Path, store_uri: str, store: Store) -> tuple[str, str]:
    """Keep a checkpoint to start from under its hash; return its address and its hash."""
    sha256 = file_sha256(path)
    uri = Layout(store_uri).network(sha256)
    keep_file(path, uri, store)
    return uri, sha256


def keep_file(path: Path, uri: str, store: Store) -> None:
    """Write a file unless the store has it."""
    if not store.exists(uri):
        store.write_file(uri, path)


def fetch_trained(option: str, trained: Trained, store: Store) -> Saved:
    """Fetch and read the checkpoint of a training; raise BadCheckpoint if gone or changed."""
    try:
        return fetch_network(store, trained.checkpoint_uri, trained.checkpoint_sha256)
    except MissingObject:
        gone = f"its checkpoint {trained.checkpoint_uri} is gone; train it again, or leave it out"
        raise BadCheckpoint(f"{option}: {trained.name}: {gone}") from None
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{option}: {trained.name}: {error}") from None
