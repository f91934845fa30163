"""Finds the labels of all clips of one recipe: from folder names, annotation files and interval files."""

from concurrent.futures import ThreadPoolExecutor

from tasks.dataset.labels import label_clips
from tasks.dataset.rows import AnnotationFile
from tasks.errors import BadInput
from tasks.keys import recipe_of
from tasks.options import LabelOptions, SegmentOptions
from tasks.results.dataset import LabelledClip, LabelResult, LabelsFile
from tasks.results.video import ClipsFile, VideoRecord
from tasks.steps._cuts import find_cut
from tasks.steps._inputs import annotation_objects, inputs_digest, probe_objects
from tasks.steps._step import StepArguments, finish, log
from tasks.storage import Store, StoredObject

NUM_THREADS = 16
NUM_SHOWN = 20


class Arguments(StepArguments, SegmentOptions, LabelOptions):
    """The recipe of the clips, and how labels find them."""


def run(arguments: Arguments, store: Store) -> LabelResult:
    """Label every clip. Unlabelled clips are kept and counted; lines that cannot be used are named.

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
    files = [AnnotationFile(o.name, store.read_bytes(o.uri)) for o in annotation_objects(store, arguments.store)]
    labelling = label_clips(
        [clip for _, file in cut for clip in file.clips],
        {record.video: record.names for record, _ in cut},
        files,
        arguments.picked(LabelOptions),
    )
    labels = LabelsFile(
        recipe=recipe,
        segment=segment,
        options=arguments.picked(LabelOptions),
        vocabulary=labelling.vocabulary,
        clips=labelling.clips,
        problems=labelling.problems,
        changes=labelling.changes,
    )
    uri = f"{arguments.out}labels.json"
    store.write(uri, labels)
    num_labelled = sum(is_labelled(clip) for clip in labels.clips)
    log.info("%d clips, %d labelled; %d annotation files", len(labels.clips), num_labelled, len(files))
    for change in labels.changes[:NUM_SHOWN]:
        log.info("changed: %s: %s", change.place, change.reason)
    for problem in labels.problems[:NUM_SHOWN]:
        log.warning("refused: %s: %s", problem.place, problem.reason)
    if len(labels.problems) > NUM_SHOWN:
        log.warning("and %d more, all in %s", len(labels.problems) - NUM_SHOWN, uri)
    result = LabelResult(
        labels_uri=uri,
        inputs_digest=digest,
        num_clips=len(labels.clips),
        num_labelled=num_labelled,
        num_problems=len(labels.problems),
        num_changes=len(labels.changes),
        first_problems=labels.problems[:NUM_SHOWN],
        first_changes=labels.changes[:NUM_SHOWN],
    )
    return finish(store, arguments.out, result)


def is_labelled(clip: LabelledClip) -> bool:
    """Whether a clip has both a verb and a noun, as training needs."""
    return clip.action is not None


def _read(store: Store, store_uri: str, segment: SegmentOptions, probe: StoredObject) -> tuple[VideoRecord, ClipsFile | None]:
    record = store.read(probe.uri, VideoRecord)
    return record, find_cut(store, store_uri, record.video, segment)
