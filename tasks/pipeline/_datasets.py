"""Write datasets, and find the labels that were gathered last."""

from collections.abc import Callable, Mapping

from tasks.data.split.manifest import split_csv
from tasks.pipeline._results import log
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import Manifest
from tasks.store.records.record import SPLITS, Target


def latest_labels(store: Store, store_uri: str) -> str | None:
    """Find the labels that were gathered last."""
    at = Layout(store_uri)
    folders = store.folders(at.all_labels)
    stored = [store.stat(at.labels(folder.rstrip("/").rpartition("/")[2]).clips.uri) for folder in folders]
    return max(((listed.modified, listed.uri) for listed in stored if listed), default=(None, None))[1]


def write_dataset(
    dataset: Dataset, manifest: Manifest, store: Store, draw: Callable[[Manifest], Mapping[Target, bytes]] | None = None
) -> None:
    """Write CSV files, histograms if `draw` is given, and last the manifest, unless it exists."""
    if store.exists(dataset.manifest.uri):
        log.info("the dataset is there already: %s", dataset.folder_uri)
        return
    for split in SPLITS:
        store.write_bytes(dataset.table(split), split_csv(manifest, split))
    for name, picture in draw(manifest).items() if draw else ():
        store.write_bytes(dataset.figure(f"{name}s"), picture)
    store.write(dataset.manifest, manifest)
