"""Writes the dataset under its digest: CSV files, histograms, and the manifest last."""

from tasks.dataset.histograms import histograms
from tasks.dataset.manifest import build_manifest, dataset_digest, split_csv
from tasks.dataset.split import assign_splits
from tasks.dataset.split_file import read_split_csv, split_file_uri
from tasks.dataset.statistics import num_classes, num_clips, num_sources
from tasks.errors import BadDataset
from tasks.options import SplitOptions, StoreUri
from tasks.results.dataset import DatasetResult, LabelResult, LabelsFile, Manifest
from tasks.results.record import SPLITS
from tasks.steps._step import StepArguments, finish, log, result_uri
from tasks.store.objects import Store


class Arguments(StepArguments, SplitOptions):
    """The labels whose clips make the dataset, and the options they were split by."""

    labels: StoreUri


def run(arguments: Arguments, store: Store) -> DatasetResult:
    """Write the dataset unless one with the same content exists; either way it becomes the latest.

    Raises:
        BadDataset: the labels cannot make a train and a val set, or `split` has not dealt them.
    """
    labels = store.read(store.read(result_uri(arguments.labels), LabelResult).labels_uri, LabelsFile)
    options = arguments.picked(SplitOptions)
    kept = read_split_csv(store.read_bytes(split_file_uri(arguments.store)))
    assignment = assign_splits(labels.clips, kept, options)
    if not assignment.remembered.keys() <= kept.keys():
        raise BadDataset(
            f"{split_file_uri(arguments.store)} has no split for some sources of {arguments.labels}: run the step split on these labels first"
        )
    manifest = build_manifest(labels, assignment, options)
    digest = dataset_digest(manifest)
    folder = f"{arguments.store}/datasets/{digest}/"
    if store.exists(f"{folder}manifest.json"):
        log.info("the dataset is there already: %s", folder)
    else:
        for split in SPLITS:
            store.write_bytes(f"{folder}{split}.csv", split_csv(manifest, split))
        for name, picture in histograms(manifest).items():
            store.write_bytes(f"{folder}figures/{name}s.png", picture)
        store.write(f"{folder}manifest.json", manifest)
    result = _result(manifest, digest, folder, num_unlabelled=sum(clip.action is None for clip in labels.clips))
    log.info("dataset %s: %s", digest, ", ".join(f"{n} clips in {split}" for split, n in result.num_clips.items()))
    return finish(store, arguments.out, result)


def _result(manifest: Manifest, digest: str, folder: str, num_unlabelled: int) -> DatasetResult:
    return DatasetResult(
        digest=digest,
        dataset_uri=folder,
        num_clips=num_clips(manifest),
        num_sources=num_sources(manifest),
        num_classes=num_classes(manifest),
        num_unlabelled=num_unlabelled,
        warnings=manifest.warnings,
    )
