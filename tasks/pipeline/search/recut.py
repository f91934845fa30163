"""Cut and label the videos of a search again, for other clip lengths and for clips around intervals.

The clips lie beside those of the dataset, and their dataset has the same splits and folds.
"""

from collections.abc import Sequence

from tasks.data.clips.cutting import cut_videos
from tasks.data.clips.labelled import given_labels, intervals_to_cut
from tasks.data.split.folds import same_folds
from tasks.data.split.manifest import build_manifest, dataset_digest, is_counted
from tasks.data.split.split import assign_splits
from tasks.errors import BadDataset, BadInput, NothingToDo
from tasks.judge.report.figures.pictures import histograms
from tasks.judge.search.space import Space
from tasks.options import SegmentOptions
from tasks.pipeline._datasets import label_store, write_dataset, write_folds
from tasks.pipeline._results import finish, finished, log
from tasks.pipeline.search._rounds import Data, covering_clips
from tasks.pipeline.search.contract import RECUT, SearchedArguments
from tasks.store.experiments import SearchPlan
from tasks.store.layout import Dataset, Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetClip, LabelsFile, Manifest
from tasks.store.records.record import SPLITS
from tasks.store.records.search import Cutting, RecutDataset, RecutResult, SearchPlanResult
from tasks.wording import quoted, some


def run(arguments: SearchedArguments, store: Store) -> RecutResult:
    """Make the dataset of each other way of cutting.

    A cutting whose clips cannot be trained or scored is recorded with the reason, and its trials fail. It is tried again when this step
    runs again.

    Raises:
        BadDataset: labels have changed since the dataset was built, so trials would differ in more than their clips.
        NothingToDo: no other way of cutting is searched.
    """
    place = RECUT.address(arguments)
    earlier = finished(store, place)
    if earlier and not any(length.failure for length in earlier.lengths):
        return earlier
    plan = store.read(SearchPlan(arguments.search))
    cuttings = Space.of(plan.search, plan.train, plan.cutting).other_cuttings
    if not cuttings:
        raise NothingToDo("no other clip length or cut is searched")
    own = store.read(Dataset(plan.dataset_uri).manifest)
    _require_same_labels(own, plan, store)
    datasets = []
    for number, cutting in enumerate(cuttings, 1):
        log.info("%s, %d of %d", cutting.words, number, len(cuttings))
        try:
            datasets.append(_recut(cutting, plan, own, store))
        except BadInput as error:
            log.warning("no trial can have %s: %s", cutting.words, error)
            datasets.append(RecutDataset(**cutting._asdict(), failure=str(error)))
    return finish(store, place, RecutResult(lengths=tuple(datasets)))


def _require_same_labels(own: Manifest, plan: SearchPlanResult, store: Store) -> None:
    labels = _labels(own, own.segment, plan, store)
    excluded = {bad.name for bad in own.excluded}
    splits = {clip.source: clip.split for clip in own.clips}
    now = {
        clip.clip.uid: (clip.verb, clip.noun)
        for clip in labels.clips
        if clip.action and clip.clip.uid not in excluded and is_counted(own.segment, clip.clip.around, splits[clip.source])
    }
    if now != {clip.uid: (clip.verb, clip.noun) for clip in own.clips}:
        raise BadDataset(
            f"labels have changed since {plan.dataset_uri} was built, and clips that are cut again would have the new ones: run build_dataset, and "
            "search its dataset"
        )


def _labels(own: Manifest, segment: SegmentOptions, plan: SearchPlanResult, store: Store) -> LabelsFile:
    """Label the videos of the dataset as they are cut with `segment`, with their sources in the dataset, by which its folds are divided."""
    sources = {clip.video: clip.source for clip in own.clips}
    labels, _ = label_store(store, SearchPlan(plan.search_uri).store_uri, segment, own.label)
    clips = (clip.model_copy(update={"source": sources[clip.clip.video]}) for clip in labels.clips if clip.clip.video in sources)
    return labels.model_copy(update={"clips": tuple(clips)})


def _recut(cutting: Cutting, plan: SearchPlanResult, own: Manifest, store: Store) -> RecutDataset:
    """Cut the videos of the dataset, label the clips by the same rules, and keep every source in its split.

    Raises:
        BadInput: there are no such clips, they cannot be divided, or they do not cover the scored clips and their classes.
    """
    search = SearchPlan(plan.search_uri)
    shortest = min(cutting.clip_seconds, own.segment.min_clip_seconds)
    segment = own.segment.model_copy(update={**cutting._asdict(), "min_clip_seconds": shortest})
    videos = sorted({clip.video for clip in own.clips})
    is_grid, where = cutting.cut == "grid", search.store_uri
    intervals = {} if is_grid else intervals_to_cut(store, where, given_labels(store, where), videos)
    # The grid is cut, too, because trials answer the scored clips by its clips.
    for part in dict.fromkeys((segment.on_grid.cut, segment.cut)):
        cut_videos(store, search.store_uri, videos, segment.model_copy(update={"cut": part}), intervals)
    kept = {name: clip.split for clip in own.clips for name in (clip.source, clip.video)}
    labels = _labels(own, segment, plan, store)
    manifest = build_manifest(labels, assign_splits(labels.clips, kept, own.split), own.split)
    data = Data.of(plan, store)
    scored = [clip for fold in data.clips for clip in fold]
    covering_clips(store, search.store_uri, scored, segment)
    _require_outputs(manifest, scored, own)
    dataset = Layout(search.store_uri).dataset(dataset_digest(manifest))
    write_dataset(dataset, manifest, store, histograms)
    folds = write_folds(search, same_folds(manifest, data.manifests), store) if plan.search.folds else (dataset.folder_uri,)
    num_clips = ", ".join(f"{sum(clip.split == split for clip in manifest.clips)} clips in {split}" for split in SPLITS)
    log.info("dataset %s: %s", dataset.digest, num_clips)
    return RecutDataset(**cutting._asdict(), dataset_uri=dataset.folder_uri, fold_uris=folds)


def _require_outputs(manifest: Manifest, scored: Sequence[DatasetClip], own: Manifest) -> None:
    """Reject a way of cutting whose networks would lack an output for a class of the scored clips."""
    words = manifest.vocabulary
    lacking = {clip.action for clip in scored if clip.verb_class >= words.num_verbs or clip.noun_class >= words.num_nouns}
    if lacking or words.has_objects != own.vocabulary.has_objects:
        named = some([quoted(action) for action in sorted(lacking)]) if lacking else "an object"
        raise BadDataset(f"no such clip shows {named}, on which trials are scored; do not search this value")
