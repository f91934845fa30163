"""Write the folds of a search as datasets."""

from collections.abc import Iterable

from tasks.data.split.manifest import dataset_digest
from tasks.pipeline._datasets import write_dataset
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.records.dataset import Manifest
from tasks.store.searches import SearchPlan


def write_folds(place: SearchPlan, folds: Iterable[Manifest], store: Store) -> tuple[str, ...]:
    """Write each fold as a dataset; return their folders."""
    datasets = [(Dataset(place.fold(dataset_digest(fold))), fold) for fold in folds]
    for dataset, fold in datasets:
        write_dataset(dataset, fold, store, has_figures=False)
    return tuple(dataset.folder_uri for dataset, _ in datasets)
