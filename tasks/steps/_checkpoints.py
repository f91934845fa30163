"""Fetch checkpoints from the store, and find trained networks by the names in options."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from tasks.errors import BadCheckpoint, BadConfiguration, BadInput, MissingObject
from tasks.model.checkpoints import Saved, load
from tasks.settings import MlflowSettings
from tasks.settings import load as load_settings
from tasks.steps._plans import MODEL
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.runs import parse_run, run_name
from tasks.tracking import Registry

CHECKPOINT = "network.ckpt"


def file_sha256(path: Path) -> str:
    """Hash the content of a file with SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch_network(store: Store, uri: str, sha256: str, folder: Path) -> Saved:
    """Fetch a checkpoint and verify its hash.

    The file is left as `CHECKPOINT` in the folder.

    Raises:
        MissingObject: the store does not have it.
        BadCheckpoint: its hash is not the recorded one.
    """
    path = folder / CHECKPOINT
    store.read_file(uri, path)
    if file_sha256(path) != sha256:
        raise BadCheckpoint(f"{uri} is not the file that was recorded (sha256 {sha256[:8]}…); run the step that writes it again")
    return load(path)


@dataclass(frozen=True)
class Trained:
    """A finished training: its name in the option, its run's key, and its checkpoint."""

    name: str
    run_key: str
    checkpoint_uri: str
    checkpoint_sha256: str


def find_trained(option: str, name: str, store_uri: str, store: Store) -> Trained:
    """Find the training that `name` stands for under this option.

    Raises:
        BadConfiguration: no network has a name of this form.
        BadInput: there is no such training, it belongs to another store, or its labels were altered.
    """
    if MODEL.fullmatch(name):
        _, version = Registry.from_settings(load_settings(MlflowSettings)).referred(name)
        found = Trained(name, version.run_key, version.checkpoint_uri, version.checkpoint_sha256)
    elif named := parse_run(name):
        run = Layout(named.store or store_uri).run(named.key)
        _require_same_store(option, name, run.folder_uri, store_uri)
        try:
            trained = store.read(run.train)
        except MissingObject:
            raise BadInput(f"{option}: {name}: {store_uri} has no finished training under {run_name(named.key)}") from None
        if trained.label_noise:
            raise BadInput(
                f"{option}: {name} was trained on altered labels (label_noise {trained.label_noise:g}), for study; choose another"
            )
        found = Trained(name, named.key, trained.checkpoint_uri, trained.checkpoint_sha256)
    else:
        raise BadConfiguration(
            f"{option}: {name} names no network; write models:/NAME@ALIAS, models:/NAME/VERSION, or runs/KEY/ of a training in this store"
        )
    _require_same_store(option, name, found.checkpoint_uri, store_uri)
    return found


def fetch_trained(option: str, trained: Trained, store: Store, folder: Path) -> Saved:
    """Fetch and read the checkpoint of a training.

    Raises:
        BadCheckpoint: the checkpoint is gone, or its hash is not the recorded one.
    """
    try:
        return fetch_network(store, trained.checkpoint_uri, trained.checkpoint_sha256, folder)
    except MissingObject:
        gone = f"its checkpoint {trained.checkpoint_uri} is gone; train it again, or leave it out"
        raise BadCheckpoint(f"{option}: {trained.name}: {gone}") from None
    except BadCheckpoint as error:
        raise BadCheckpoint(f"{option}: {trained.name}: {error}") from None


def _require_same_store(option: str, name: str, uri: str, store_uri: str) -> None:
    """Require a network of this store.

    Splits are fixed within a store: a network of another one may have been trained on clips that are tested here.
    """
    if not Layout(store_uri).holds(uri):
        raise BadInput(
            f"{option}: {name} was trained in another store ({uri}), perhaps on clips that {store_uri} keeps for tests; "
            "train it in this store"
        )
