"""Find trained networks by the names in options. Does not import torch."""

from dataclasses import dataclass

from tasks.errors import BadConfiguration, BadInput, MissingObject
from tasks.pipeline._plans import MODEL
from tasks.settings import MlflowSettings, load
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.runs import parse_run, run_name
from tasks.tracking import Registry


@dataclass(frozen=True)
class Trained:
    """A finished training: names for options and pages, key, and checkpoint."""

    name: str
    label: str
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
        model, version = Registry(load(MlflowSettings)).referred(name)
        network = Trained(name, f"{model} version {version.version}", version.run_key, version.checkpoint_uri, version.checkpoint_sha256)
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
        network = Trained(name, run_name(named.key), named.key, trained.checkpoint_uri, trained.checkpoint_sha256)
    else:
        raise BadConfiguration(
            f"{option}: {name} names no network; write models:/NAME@ALIAS, models:/NAME/VERSION, or runs/KEY/ of a training in this store"
        )
    _require_same_store(option, name, network.checkpoint_uri, store_uri)
    return network


def _require_same_store(option: str, name: str, uri: str, store_uri: str) -> None:
    """Require a network of this store.

    Splits are fixed within a store: a network of another store may have been trained on clips that are tested here.
    """
    if not Layout(store_uri).holds(uri):
        raise BadInput(
            f"{option}: {name} was trained in another store ({uri}), perhaps on clips that {store_uri} keeps for tests; "
            "train it in this store"
        )
