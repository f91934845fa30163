"""Deal source videos to train, val and test; a video never changes its split."""

from collections import Counter

from tasks.contracts.build_dataset import SPLIT, SplitArguments
from tasks.dataset.manifest import usable_clips
from tasks.dataset.split import assign_splits
from tasks.dataset.split_file import read_split_csv, write_split_csv
from tasks.errors import NothingToDo
from tasks.options import SplitOptions
from tasks.results.dataset import LabelsFile, SplitResult
from tasks.results.record import SPLITS
from tasks.steps._step import finish, log
from tasks.store.layout import Labels, Layout
from tasks.store.objects import Store
from tasks.wording import plain_count


def run(arguments: SplitArguments, store: Store) -> SplitResult:
    """Assign sources without a split, and remember the split of every source and video.

    Raises:
        BadDataset: the labels cannot make a train and a val set.
        NothingToDo: no clip has a label.
    """
    labels = store.read(store.read(Labels(arguments.labels)).labels_uri, LabelsFile)
    if not any(clip.action for clip in labels.clips):
        raise NothingToDo(
            f"none of {plain_count(len(labels.clips), 'clip')} has a label yet: label some on the page Label, or see docs/labels.md"
        )
    uri = Layout(arguments.store).split_file
    kept = read_split_csv(store.read_bytes(uri)) if store.exists(uri) else {}
    assignment = assign_splits(labels.clips, kept, arguments.picked(SplitOptions))
    splits = assignment.split_by_source
    used = usable_clips(labels, assignment)
    if not assignment.remembered.keys() <= kept.keys():
        store.write_bytes(uri, write_split_csv(kept, assignment.remembered))
    num_clips = Counter(splits[clip.source] for clip in used)
    num_sources = Counter(splits[source] for source in {clip.source for clip in used})
    for warning in assignment.warnings:
        log.warning(warning)
    for split in SPLITS:
        log.info("%s: %d clips of %d sources", split, num_clips[split], num_sources[split])
    result = SplitResult(
        split_file_uri=uri,
        num_clips={split: num_clips[split] for split in SPLITS},
        num_sources={split: num_sources[split] for split in SPLITS},
        warnings=assignment.warnings,
    )
    return finish(store, SPLIT.address(arguments), result)
