"""Label all clips of one recipe from the folders, annotation and interval files of a store."""

from collections.abc import Sequence

from tasks.data.clips.cutting import num_uncut
from tasks.data.clips.label_inputs import number_words
from tasks.data.clips.labelled import Given, label_now
from tasks.data.labels.ledger import Ledger, differing, read_twice
from tasks.data.labels.page_labels import PAGE, accepted_clips
from tasks.judge.statistics.label_quality import agreement
from tasks.keys import recipe_of
from tasks.options import LabelOptions, SegmentOptions
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.dataset import LabelsFile
from tasks.store.records.video import ClipsFile, VideoRecord
from tasks.wording import plain_count


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
        hints=(*labelled.given.by_hand.problems, *labelling.hints, *_uncut(store, store_uri, labelled.given, segment, labelled.cut)),
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


def _uncut(
    store: Store, store_uri: str, given: Given, segment: SegmentOptions, cut: Sequence[tuple[VideoRecord, Sequence[ClipsFile]]]
) -> list[str]:
    """Say how many videos have other intervals than when clips were cut around them, or were not cut so yet."""
    number = num_uncut(store, store_uri, given, segment, cut)
    hint = "the labelled intervals changed since clips were cut around them; run ingest_videos to cut the new ones"
    return [f"{plain_count(number, 'video')}: {hint}"] if number else []
