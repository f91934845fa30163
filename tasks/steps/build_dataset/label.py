"""Find the labels of one recipe's clips in folder names, annotation and interval files."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tasks.contracts.build_dataset import LABEL, LabelArguments
from tasks.dataset.labels import Labelling, label_clips
from tasks.dataset.rows import AnnotationFile
from tasks.errors import BadInput
from tasks.keys import recipe_of
from tasks.media.clips import find_cut
from tasks.media.label_inputs import annotation_objects, epic_list_objects, inputs_digest, probe_objects
from tasks.media.own_classes import number_words, own_classes
from tasks.options import LabelOptions, SegmentOptions
from tasks.results.dataset import LabelResult, LabelsFile
from tasks.results.video import ClipsFile, VideoRecord
from tasks.steps._step import finish, log
from tasks.store.objects import Store, StoredObject
from tasks.wording import plain_count

NUM_THREADS = 16
NUM_SHOWN = 20


def run(arguments: LabelArguments, store: Store) -> LabelResult:
    """Label every clip, and number the words that have no id.

    Unlabelled clips are kept and counted; rejected lines are named.

    Raises:
        BadInput: no video has been cut by this recipe.
    """
    segment = arguments.picked(SegmentOptions)
    recipe = recipe_of(segment)
    digest = inputs_digest(store, arguments.store, recipe)
    with ThreadPoolExecutor(NUM_THREADS) as pool:
        found = list(pool.map(lambda probe: _read(store, arguments.store, segment, probe), probe_objects(store, arguments.store)))
    cut = [(record, clips) for record, clips in found if clips]
    if not cut:
        raise BadInput(f"no clips in {arguments.store} cut by this recipe; run ingest_videos with the same cutting options first")
    listed = [*epic_list_objects(store, arguments.store), *annotation_objects(store, arguments.store)]
    files = [AnnotationFile(o.name, store.read_bytes(o.uri)) for o in listed]
    own = own_classes(store, arguments.store)
    labelling = label_clips(
        [clip for _, file in cut for clip in file.clips],
        {record.video: record.names for record, _ in cut},
        files,
        arguments.picked(LabelOptions),
        own,
    )
    labelling = labelling.with_ids(number_words(store, arguments.store, own, labelling.words_without_id))
    labels = LabelsFile(
        recipe=recipe,
        segment=segment,
        options=arguments.picked(LabelOptions),
        vocabulary=labelling.vocabulary,
        clips=labelling.clips,
        problems=labelling.problems,
        changes=labelling.changes,
        folders=labelling.folders,
        left_out=labelling.left_out,
        hints=labelling.hints,
    )
    new_folders = tuple(folder for folder in labels.folders if folder.is_new)
    place = LABEL.address(arguments)
    store.write(place.clips, labels)
    log.info("%d clips, %d labelled; %d annotation files", len(labels.clips), labelling.num_labelled, len(files))
    _tell(labelling, place.clips.uri)
    result = LabelResult(
        labels_uri=place.clips.uri,
        inputs_digest=digest,
        num_clips=len(labels.clips),
        num_labelled=labelling.num_labelled,
        num_problems=len(labels.problems),
        num_changes=len(labels.changes),
        first_problems=labels.problems[:NUM_SHOWN],
        first_changes=labels.changes[:NUM_SHOWN],
        num_new_folders=len(new_folders),
        first_new_folders=new_folders[:NUM_SHOWN],
        num_left_out=len(labels.left_out),
        first_left_out=labels.left_out[:NUM_SHOWN],
        num_hints=len(labels.hints),
        first_hints=labels.hints[:NUM_SHOWN],
    )
    return finish(store, place, result)


def _read(store: Store, store_uri: str, segment: SegmentOptions, probe: StoredObject) -> tuple[VideoRecord, ClipsFile | None]:
    record = store.read(probe.uri, VideoRecord)
    return record, find_cut(store, store_uri, record.video, segment)


def _tell(labelling: Labelling, uri: str) -> None:
    """Log the first folders, overridden and rejected labels, left-out files, and hints."""
    _each(
        log.info,
        [f"folder {folder.folder}/ is read as {folder.reading}: {plain_count(folder.num_clips, 'clip')}" for folder in labelling.folders],
        uri,
    )
    _each(log.info, [f"overridden: {change.place}: {change.reason}" for change in labelling.changes], uri)
    _each(log.warning, [f"rejected: {problem.place}: {problem.reason}" for problem in labelling.problems], uri)
    _each(log.warning, [f"left out: {item.name}: {item.reason}" for item in labelling.left_out], uri)
    _each(log.warning, labelling.hints, uri)


def _each(say: Callable[[str, str], None], lines: Sequence[str], uri: str) -> None:
    for line in lines[:NUM_SHOWN]:
        say("%s", line)
    if len(lines) > NUM_SHOWN:
        say("%s", f"and {len(lines) - NUM_SHOWN} more such lines, all in {uri}")
