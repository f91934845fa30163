"""Label the clips of a store, and write datasets of them."""

from collections.abc import Callable, Iterable, Mapping

from tasks.data.clips.cut_videos import num_uncut
from tasks.data.clips.gather_labels import label_now
from tasks.data.clips.label_inputs import number_words
from tasks.data.labels.ledger import Ledger, differing, read_twice
from tasks.data.labels.page_labels import PAGE, accepted_clips
from tasks.data.split.manifest import dataset_digest, split_csv
from tasks.judge.statistics.label_quality import agreement
from tasks.keys import recipe_of
from tasks.options import LabelOptions, SegmentOptions
from tasks.pipeline._results import log
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import LabelsFile, Manifest
from tasks.store.records.record import SPLITS, Target
from tasks.store.run_layout import SearchPlan
from tasks.wording import plain_count

Draw = Callable[[Manifest], Mapping[Target, bytes]]
"""Draws the histogram of each target of a dataset."""


def label_store(store: Store, store_uri: str, segment: SegmentOptions, options: LabelOptions) -> tuple[LabelsFile, Ledger]:
    """Label every clip that was cut with `segment`, and number the words that have no id.

    Unlabelled clips are kept. The ledger has who gave the labels of the labelling page.

    Raises:
        BadInput: no video has been cut by this recipe.
    """
    labelled = label_now(store, store_uri, segment, options)
    ids = number_words(store, store_uri, labelled.own, labelled.labelling.words_without_id)
    labelling = labelled.labelling.with_ids(ids)
    pairs = read_twice(labelled.given.by_hand)
    agreed = agreement([pair[:3] for pair in pairs])
    number = num_uncut(store, store_uri, labelled.given, segment, labelled.cut)
    hint = "the labelled intervals changed since clips were cut around them; run ingest_videos to cut the new ones"
    uncut = [f"{plain_count(number, 'video')}: {hint}"] if number else []
    accepted = accepted_clips(labelled.given.by_hand, [clip.clip for clip in labelling.clips])
    labels = LabelsFile(
        recipe=recipe_of(segment),
        segment=segment,
        options=options,
        vocabulary=labelling.vocabulary,
        clips=labelling.clips,
        problems=labelling.problems,
        changes=labelling.changes,
        folders=labelling.folders,
        left_out=labelling.left_out,
        hints=(*labelled.given.by_hand.problems, *labelling.hints, *uncut),
        agreement=agreed.model_copy(update={"differing": differing(pairs)}) if agreed else None,
        without_clip=labelling.without_clip,
        chosen=tuple(sorted(labelling.chosen.union(labelled.given.by_hand.chosen_videos))),
        recordings=labelling.recordings,
        web_pages={record.video: record.web_page for record, _ in labelled.cut if record.web_page},
        accepted=tuple(clip.clip.uid for clip in labelling.clips if clip.origin == PAGE and clip.clip.uid in accepted),
    )
    return labels, labelled.given.by_hand


def latest_labels(store: Store, store_uri: str) -> str | None:
    """Find the labels that were gathered last."""
    at = Layout(store_uri)
    folders = store.folders(at.all_labels)
    stored = [store.stat(at.labels(folder.rstrip("/").rpartition("/")[2]).clips.uri) for folder in folders]
    return max(((listed.modified, listed.uri) for listed in stored if listed), default=(None, None))[1]


def write_dataset(dataset: Dataset, manifest: Manifest, store: Store, draw: Draw | None = None) -> None:
    """Write the dataset, unless it exists already: CSV files, histograms if `draw` is given, and the manifest last."""
    if store.exists(dataset.manifest.uri):
        log.info("the dataset is there already: %s", dataset.folder_uri)
        return
    for split in SPLITS:
        store.write_bytes(dataset.table(split), split_csv(manifest, split))
    for name, picture in draw(manifest).items() if draw else ():
        store.write_bytes(dataset.figure(f"{name}s"), picture)
    store.write(dataset.manifest, manifest)


def write_folds(place: SearchPlan, folds: Iterable[Manifest], store: Store) -> tuple[str, ...]:
    """Write each fold as a dataset; return their folders."""
    datasets = [(Dataset(place.fold(dataset_digest(fold))), fold) for fold in folds]
    for dataset, fold in datasets:
        write_dataset(dataset, fold, store)
    return tuple(dataset.folder_uri for dataset, _ in datasets)
