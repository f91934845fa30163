"""Write the folds of a search as datasets."""

from collections.abc import Iterable

from tasks.dataset.manifest import dataset_digest, split_csv
from tasks.results.dataset import Manifest
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.searches import SearchPlan


def write_folds(place: SearchPlan, folds: Iterable[Manifest], store: Store) -> tuple[str, ...]:
    """Write each fold as a dataset, its manifest last; return their folders."""
    uris = []
    for fold in folds:
        written = Dataset(place.fold(dataset_digest(fold)))
        for split in ("train", "val"):
            store.write_bytes(written.table(split), split_csv(fold, split))
        store.write(written.manifest, fold)
        uris.append(written.folder_uri)
    return tuple(uris)
