"""Write datasets: CSV files, histograms, and the manifest last."""

from collections.abc import Iterable

from tasks.data.split.manifest import dataset_digest, split_csv
from tasks.judge.report.figures.pictures import histograms
from tasks.pipeline._step import log
from tasks.store.experiments import SearchPlan
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


def write_folds(place: SearchPlan, folds: Iterable[Manifest], store: Store) -> tuple[str, ...]:
    """Write each fold as a dataset; return their folders."""
    datasets = [(Dataset(place.fold(dataset_digest(fold))), fold) for fold in folds]
    for dataset, fold in datasets:
        write_dataset(dataset, fold, store, has_figures=False)
    return tuple(dataset.folder_uri for dataset, _ in datasets)
