"""Find the labels of one recipe's clips in folder names, annotation and interval files."""

from collections.abc import Sequence

from tasks.data.clips.cut_videos import num_uncut
from tasks.data.clips.gather_labels import label_now
from tasks.data.clips.label_inputs import count_entries, inputs_digest, number_words
from tasks.data.labels.ledger import Ledger, differing, read_twice
from tasks.data.labels.page_labels import PAGE, accepted_clips, people_of
from tasks.data.labels.recordings import recordings_csv
from tasks.judge.statistics.label_quality import agreement
from tasks.keys import recipe_of
from tasks.loop.summary import keep
from tasks.loop.summary_parts import labels_status
from tasks.options import LabelOptions, SegmentOptions
from tasks.pipeline._results import finish, log
from tasks.pipeline.build_dataset.contract import LABEL, LabelArguments
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import LabelResult, LabelsFile, Recording
from tasks.store.records.record import SetAside, now_utc
from tasks.store.records.status import LabelsStatus
from tasks.wording import plain_count, some

NUM_SHOWN = 20


def run(arguments: LabelArguments, store: Store) -> LabelResult:
    """Label every clip, and number the words that have no id.

    Unlabelled clips are kept and counted; rejected lines are named.

    Raises:
        BadInput: no video has been cut by this recipe.
    """
    segment = arguments.picked(SegmentOptions)
    digest = inputs_digest(store, arguments.store, recipe_of(segment))
    num_statements = count_entries(store, arguments.store)
    labels, ledger = _labelled(store, arguments.store, segment, arguments.picked(LabelOptions))
    new_folders = tuple(folder for folder in labels.folders if folder.is_new)
    place = LABEL.address(arguments)
    store.write(place.clips, labels)
    if labels.recordings or store.exists(place.recordings):
        store.write_bytes(place.recordings, recordings_csv(labels.recordings))
    _tell(labels, place.clips.uri)
    result = LabelResult(
        labels_uri=place.clips.uri,
        inputs_digest=digest,
        num_statements=num_statements,
        num_clips=len(labels.clips),
        num_labelled=sum(clip.action is not None for clip in labels.clips),
        num_unsure=len(labels.unsure),
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
        recordings_uri=place.recordings if labels.recordings else None,
        num_recordings=len(labels.recordings),
        first_recordings=_briefly(labels.recordings[:NUM_SHOWN]),
    )
    finish(store, place, result)

    def summary(_: LabelsStatus | None) -> LabelsStatus:
        of_page = [clip.clip for clip in labels.clips if clip.origin == PAGE]
        return labels_status(labels, result, people_of(ledger, of_page, labels.options.min_overlap), now_utc())

    keep(store, Layout(arguments.store).status.labels, summary)
    return result


def _labelled(store: Store, store_uri: str, segment: SegmentOptions, options: LabelOptions) -> tuple[LabelsFile, Ledger]:
    """Label the clips of a recipe; the ledger has who labelled on the page."""
    labelled = label_now(store, store_uri, segment, options)
    ids = number_words(store, store_uri, labelled.own, labelled.labelling.words_without_id)
    labelling = labelled.labelling.with_ids(ids)
    pairs = read_twice(labelled.given.by_hand)
    agreed = agreement([pair[:3] for pair in pairs])
    number = num_uncut(store, store_uri, labelled.given, segment, labelled.cut)
    hint = "the labelled intervals changed since clips were cut around them; run ingest_videos to cut the new ones"
    uncut = [f"{plain_count(number, 'video')}: {hint}"] if number else []
    accepted = accepted_clips(labelled.given.by_hand, [clip.clip for clip in labelling.clips])
    unsure = labelled.given.by_hand.unsure
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
        unsure=tuple(clip.clip.uid for clip in labelling.clips if clip.action is None and clip.clip.uid in unsure),
    )
    return labels, labelled.given.by_hand


def _tell(labels: LabelsFile, uri: str) -> None:
    """Log the first folders, recordings, overridden and rejected labels, left-out files, and hints."""
    for say, lines in (
        (log.info, [f"folder {each.folder}/ is read as {each.reading}: {plain_count(each.num_clips, 'clip')}" for each in labels.folders]),
        (log.info, [f"recording {recording.name}: {recording.reason}" for recording in _briefly(labels.recordings)]),
        (log.info, [f"overridden: {change.place}: {change.reason}" for change in labels.changes]),
        (log.warning, [f"rejected: {problem.place}: {problem.reason}" for problem in labels.problems]),
        (log.warning, [f"left out: {item.name}: {item.reason}" for item in labels.left_out]),
        (log.warning, list(labels.hints)),
    ):
        for line in lines[:NUM_SHOWN]:
            say("%s", line)
        if len(lines) > NUM_SHOWN:
            say("%s", f"and {plain_count(len(lines) - NUM_SHOWN, 'more such line')}, all in {uri}")


def _briefly(recordings: Sequence[Recording]) -> tuple[SetAside, ...]:
    """Name the first files of each recording: a recorder may have thousands."""
    return tuple(SetAside(name=recording.name, reason=f"{some(recording.files)}: {recording.reason}") for recording in recordings)
