"""Write the dataset under its digest: CSV files, histograms, and the manifest last."""

from tasks.data.split.manifest import (
    build_manifest,
    dataset_digest,
    num_classes,
    num_clips,
    num_nothing,
    num_sources,
    same_clips,
    shared_in_words,
)
from tasks.data.split.split import assign_splits, keep_places, read_drawn, read_split_csv
from tasks.errors import BadDataset, NothingToDo
from tasks.judge.report.png_figures import histograms
from tasks.loop.difference import change_of, difference
from tasks.loop.summary import keep
from tasks.loop.summary_parts import dataset_status
from tasks.options import SplitOptions
from tasks.pipeline._datasets import write_dataset
from tasks.pipeline._results import finish, log
from tasks.pipeline.build_dataset.contract import DATASET, SplitArguments
from tasks.settings import MachineSettings, load
from tasks.store.layout import Dataset, Labels, Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetResult, LabelsFile, Manifest
from tasks.store.records.record import now_utc
from tasks.store.records.status import DatasetStatus
from tasks.wording import count


def run(arguments: SplitArguments, store: Store) -> DatasetResult:
    """Write the dataset, unless its content exists already, and make it the latest.

    Raises:
        NothingToDo: an earlier run made it the latest, so no training is to start.
        BadDataset: the labels cannot make a train and a val set, or `split` has not assigned their sources.
    """
    layout = Layout(arguments.store)
    options = arguments.picked(SplitOptions)
    splits = store.read_bytes(layout.split_file)
    kept = read_split_csv(splits)
    labels = keep_places(store.read(store.read(Labels(arguments.labels)).labels_uri, LabelsFile), kept)
    assignment = assign_splits(labels.clips, kept, options, read_drawn(splits), labels.chosen)
    if not assignment.remembered.keys() <= kept.keys():
        raise BadDataset(
            f"{layout.split_file} has no split for some sources of {arguments.labels}: run the step split on these labels first"
        )
    manifest = build_manifest(labels, assignment, options)
    address = DATASET.address(arguments)
    made_by = load(MachineSettings).airflow_url
    latest = store.read(address) if store.exists(address.uri) else None
    digest = dataset_digest(manifest)
    if latest is not None and latest.digest != digest:
        earlier = layout.dataset(latest.digest).manifest
        # Other shares may have changed no split, because sources are never moved.
        if store.exists(earlier.uri) and same_clips(store.read(earlier), manifest):
            digest = latest.digest
    dataset = layout.dataset(digest)
    # A retry of the run that made it the latest must still start a training.
    is_known = latest is not None and latest.digest == digest and (made_by is None or latest.made_by != made_by)
    if latest is not None and is_known:
        made_by = latest.made_by
    write_dataset(dataset, manifest, store, histograms)
    num_unlabelled = sum(clip.action is None for clip in labels.clips) - len(labels.unsure)
    result = _result(manifest, dataset, num_unlabelled=num_unlabelled, made_by=made_by)
    log.info("dataset %s: %s", digest, ", ".join(f"{count(n, 'clip')} in {split}" for split, n in result.num_clips.items()))
    if result.num_nothing:
        log.info("nothing happens in %s", ", ".join(f"{n} clips of {split}" for split, n in result.num_nothing.items()))
    finish(store, address, result)
    before = latest.digest if latest else None
    keep(store, layout.status.dataset, lambda earlier: _summary(earlier, before, manifest, result, arguments.store, store))
    if is_known:
        raise NothingToDo(
            f"dataset {digest} is the latest already, so no training starts, and options for one are not used; `retrain` can be triggered by hand. "
            "Sources keep their splits, whatever the shares"
        )
    return result


def _summary(
    earlier: DatasetStatus | None, latest: str | None, manifest: Manifest, result: DatasetResult, store_uri: str, store: Store
) -> DatasetStatus:
    """Sum up the dataset beside the one before it."""
    # A retry knows the dataset before from the summary alone.
    before = earlier.digest if earlier else latest
    change = None
    if before not in (None, result.digest):
        last = Layout(store_uri).dataset(before).manifest
        change = change_of(before, difference(store.read(last), manifest)) if store.exists(last.uri) else None
    return dataset_status(earlier, result, change, now_utc())


def _result(manifest: Manifest, dataset: Dataset, num_unlabelled: int, made_by: str | None) -> DatasetResult:
    return DatasetResult(
        digest=dataset.digest,
        dataset_uri=dataset.folder_uri,
        num_clips=num_clips(manifest),
        num_sources=num_sources(manifest),
        num_classes=num_classes(manifest),
        num_nothing=num_nothing(manifest),
        num_acting_sources=num_sources(manifest, acting=True),
        num_unlabelled=num_unlabelled,
        warnings=(*manifest.warnings, *shared_in_words(manifest.shared_recordings)),
        made_by=made_by,
    )
