"""Cut and label the videos of a search again, for other clip lengths.

The clips lie beside those of the dataset, and their dataset has the same splits and folds.
"""

from tasks.contracts.search import RECUT, SearchedArguments
from tasks.dataset.folds import same_folds
from tasks.dataset.manifest import build_manifest, dataset_digest
from tasks.dataset.split import assign_splits
from tasks.errors import BadInput, NothingToDo
from tasks.media.cutting import cut_videos
from tasks.results.dataset import Manifest
from tasks.results.record import SPLITS
from tasks.results.search import ClipLength, RecutResult, SearchPlanResult
from tasks.search.space import Space
from tasks.steps._datasets import write_dataset
from tasks.steps._labelling import label_store
from tasks.steps._step import finish, finished, log
from tasks.steps.search._folds import write_folds
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.searches import SearchPlan


def run(arguments: SearchedArguments, store: Store) -> RecutResult:
    """Make the dataset of each other clip length.

    A length whose clips cannot be trained on is recorded with the reason, and its trials fail.

    Raises:
        NothingToDo: the search has the clip length of its dataset alone.
    """
    place = RECUT.address(arguments)
    if earlier := finished(store, place):
        return earlier
    plan = store.read(SearchPlan(arguments.search))
    lengths = Space.of(plan.search, plan.train, plan.clip_seconds).other_lengths
    if not lengths:
        raise NothingToDo("no other clip length is searched")
    manifest = store.read(Dataset(plan.dataset_uri).manifest)
    found = []
    for number, seconds in enumerate(lengths, 1):
        log.info("clips of %g s, %d of %d lengths", seconds, number, len(lengths))
        found.append(_length(seconds, plan, manifest, store))
    return finish(store, place, RecutResult(lengths=tuple(found)))


def _length(seconds: float, plan: SearchPlanResult, own: Manifest, store: Store) -> ClipLength:
    """Cut the videos of the dataset, label the clips by the same rules, and keep every source in its split."""
    search = SearchPlan(plan.search_uri)
    videos = sorted({clip.video for clip in own.clips})
    segment = own.segment.model_copy(update={"clip_seconds": seconds, "min_clip_seconds": min(seconds, own.segment.min_clip_seconds)})
    cut_videos(store, search.store_uri, videos, segment)
    kept = {name: clip.split for clip in own.clips for name in (clip.source, clip.video)}
    try:
        labels = label_store(store, search.store_uri, segment, own.label)
        labels = labels.model_copy(update={"clips": tuple(clip for clip in labels.clips if clip.clip.video in videos)})
        manifest = build_manifest(labels, assign_splits(labels.clips, kept, own.split), own.split)
        dataset = Layout(search.store_uri).dataset(dataset_digest(manifest))
        write_dataset(dataset, manifest, store)
        folds = [store.read(Dataset(uri).manifest) for uri in plan.fold_uris] if plan.search.folds else []
        uris = write_folds(search, same_folds(manifest, folds), store) or (dataset.folder_uri,)
    except BadInput as error:
        log.warning("no trial can have clips of %g s: %s", seconds, error)
        return ClipLength(clip_seconds=seconds, failure=str(error))
    num_clips = ", ".join(f"{sum(clip.split == split for clip in manifest.clips)} clips in {split}" for split in SPLITS)
    log.info("dataset %s: %s", dataset.digest, num_clips)
    return ClipLength(clip_seconds=seconds, dataset_uri=dataset.folder_uri, fold_uris=uris)
