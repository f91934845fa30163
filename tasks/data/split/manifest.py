"""Write a dataset's manifest for training, and one CSV per split.

The CSV files have the original experiment's header.
"""

from collections.abc import Iterable

from tasks.csv_table import csv_table
from tasks.data.split.split import SplitAssignment
from tasks.errors import BadDataset
from tasks.keys import content_key
from tasks.options import SegmentOptions, SplitOptions
from tasks.store.records.dataset import ClassRef, DatasetClip, LabelledClip, LabelsFile, Manifest, Vocabulary
from tasks.store.records.record import SplitName
from tasks.store.records.video import Interval

CSV_COLUMNS = ("uid", "verb", "noun", "action", "verb_class", "noun_class")


def build_manifest(labels: LabelsFile, assignment: SplitAssignment, options: SplitOptions) -> Manifest:
    """Collect all labelled clips that are not excluded, with their splits, sorted by uid."""
    chosen = usable_clips(labels, assignment)
    clips = sorted((_dataset_clip(clip, assignment.split_by_source[clip.source]) for clip in chosen), key=lambda clip: clip.uid)
    return Manifest(
        recipe=labels.recipe,
        segment=labels.segment,
        label=labels.options,
        split=options,
        vocabulary=Vocabulary(
            verbs=_used(labels.vocabulary.verbs, {clip.verb_class for clip in clips}),
            nouns=_used(labels.vocabulary.nouns, {clip.noun_class for clip in clips}),
        ),
        clips=tuple(clips),
        excluded=assignment.excluded,
        warnings=assignment.warnings,
        agreement=labels.agreement,
        without_clip=labels.without_clip,
    )


def usable_clips(labels: LabelsFile, assignment: SplitAssignment) -> list[LabelledClip]:
    """List the labelled clips that are not excluded and count in their split.

    Raises:
        BadDataset: val would have none.
    """
    excluded, splits = {bad.name for bad in assignment.excluded}, assignment.split_by_source
    chosen = (clip for clip in labels.clips if clip.action and clip.clip.uid not in excluded)
    kept = [clip for clip in chosen if is_counted(labels.segment, clip.clip.around, splits[clip.source])]
    if not any(splits[clip.source] == "val" for clip in kept):
        raise BadDataset("no clip of the grid is labelled in val: lower min_overlap, or choose cut=intervals")
    return kept


def is_counted(segment: SegmentOptions, around: Interval | None, split: SplitName) -> bool:
    """Check whether a clip counts in its split.

    Where both the grid and intervals are cut, val and test have clips of the grid alone, as a prediction has.
    """
    return segment.cut != "both" or around is None or split == "train"


def dataset_digest(manifest: Manifest) -> str:
    """Hash the manifest, which includes the clips' content hashes, to 16 hex digits; what is said of labels beside it makes no new dataset."""
    return content_key(manifest.model_dump(mode="json", exclude={"agreement", "without_clip"}))


def split_csv(manifest: Manifest, split: SplitName) -> bytes:
    """Write `train.csv`, `val.csv` or `test.csv`: header `uid,verb,noun,action,verb_class,noun_class`, one line per clip."""
    return csv_table(
        CSV_COLUMNS, ({column: getattr(clip, column) for column in CSV_COLUMNS} for clip in manifest.clips if clip.split == split)
    )


def _dataset_clip(labelled: LabelledClip, split: SplitName) -> DatasetClip:
    fields = set(DatasetClip.model_fields)
    known = labelled.clip.model_dump(include=fields) | labelled.model_dump(include=fields)
    return DatasetClip(**known, split=split)


def _used(classes: Iterable[ClassRef], ids: set[int]) -> tuple[ClassRef, ...]:
    return tuple(ref for ref in classes if ref.id in ids)
