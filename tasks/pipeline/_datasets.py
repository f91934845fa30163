"""Write a dataset: CSV files, histograms, and the manifest last."""

from tasks.data.split.manifest import split_csv
from tasks.judge.report.figures.pictures import histograms
from tasks.pipeline._step import log
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.records.dataset import Manifest
from tasks.store.records.record import SPLITS


def write_dataset(dataset: Dataset, manifest: Manifest, store: Store, *, has_figures: bool = True) -> None:
    """Write the dataset, unless it exists already."""
    if store.exists(dataset.manifest.uri):
        log.info("the dataset is there already: %s", dataset.folder_uri)
        return
    for split in SPLITS:
        store.write_bytes(dataset.table(split), split_csv(manifest, split))
    for name, picture in histograms(manifest).items() if has_figures else ():
        store.write_bytes(dataset.figure(f"{name}s"), picture)
    store.write(dataset.manifest, manifest)
