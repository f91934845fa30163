"""What a sceptic asks of the data: does a split know another, was every class taught, do labels contradict each other?

Legend: n clips, t frames.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from tasks.errors import BadInput
from tasks.evaluation.fingerprints import Fingerprint, distances
from tasks.results.dataset import DatasetClip
from tasks.results.metrics import DataChecks, LabelConflict, NearDuplicate
from tasks.results.record import SPLITS, TARGETS, SplitName, Target

MAX_DUPLICATE_BITS = 10.0
"""Of 64, the mean over frames. Tried on 11 films of one kitchen counter: re-encoded, brightened, scaled down or cropped by a twentieth a film
moves by up to 7 bits, cut half a second later by 4 to 12; the two halves of one film differ by 13 and more, two films by 17 and more."""

CLIPS_AT_ONCE = 256


def check_data(clips: Sequence[DatasetClip], fingerprints: Mapping[str, Fingerprint], targets: Collection[Target]) -> DataChecks:
    """Look for leakage between splits, classes that train lacks, and labels that contradict each other.

    A clip of val is listed with its nearest look-alike in train, one of test with that in train or val, and a clip with a contradiction once,
    beside its nearest, so that no list outgrows the clips. Clips of one source video look alike by nature, so that looks alone convict them of no contradiction: the
    same content does. Memory grows with the number of clips, not with its square.

    Args:
        clips: the dataset's, of all splits.
        fingerprints: (t,) perceptual hashes of each clip, by uid; t is the same for all.
        targets: those whose classes train must have.

    Raises:
        BadInput: a clip has no fingerprint, or one of another length.
    """
    ordered = sorted(clips, key=lambda clip: (SPLITS.index(clip.split), clip.uid))
    duplicates, conflicts = _look_alikes(ordered, _stacked(ordered, fingerprints))
    return DataChecks(
        shared_sources=_shared_sources(ordered),
        near_duplicates=duplicates,
        missing_from_train=_missing_from_train(ordered, targets),
        label_conflicts=conflicts,
    )


def _stacked(clips: Sequence[DatasetClip], fingerprints: Mapping[str, Fingerprint]) -> Fingerprint:
    """(n, t) hashes in the order of the clips."""
    if missing := [clip.uid for clip in clips if clip.uid not in fingerprints]:
        raise BadInput(f"clip {missing[0]} has no fingerprint (nor have {len(missing) - 1} others); make one of every clip of the dataset")
    if len({len(fingerprints[clip.uid]) for clip in clips}) > 1:
        raise BadInput("fingerprints differ in their number of frames; make those of all clips with the same number of segments")
    return np.array([fingerprints[clip.uid] for clip in clips], np.uint64)


def _shared_sources(clips: Sequence[DatasetClip]) -> tuple[str, ...]:
    splits_of: dict[str, set[SplitName]] = {}
    for clip in clips:
        splits_of.setdefault(clip.source, set()).add(clip.split)
    return tuple(sorted(source for source, splits in splits_of.items() if len(splits) > 1))


def _missing_from_train(clips: Sequence[DatasetClip], targets: Collection[Target]) -> tuple[str, ...]:
    """Such as `noun sauce (val, test)`: verbs, then nouns, then actions, by class id."""
    splits_of: dict[tuple[int, int, int], set[SplitName]] = {}
    name_of: dict[tuple[int, int, int], str] = {}
    for clip in clips:
        verb, noun = clip.verb_class, clip.noun_class
        names = {(0, verb, -1): f"verb {clip.verb}", (1, -1, noun): f"noun {clip.noun}", (2, verb, noun): f"action {clip.action}"}
        for key, name in names.items():
            splits_of.setdefault(key, set()).add(clip.split)
            name_of.setdefault(key, name)
    return tuple(
        f"{name_of[key]} ({', '.join(split for split in SPLITS if split in splits)})"
        for key, splits in sorted(splits_of.items())
        if "train" not in splits and TARGETS[key[0]] in targets
    )


def _look_alikes(clips: Sequence[DatasetClip], hashes: Fingerprint) -> tuple[tuple[NearDuplicate, ...], tuple[LabelConflict, ...]]:
    sources = np.unique([clip.source for clip in clips], return_inverse=True)[1]
    contents = np.unique([clip.sha256 for clip in clips], return_inverse=True)[1]
    splits = np.array([SPLITS.index(clip.split) for clip in clips])
    labels = np.array([(clip.verb_class, clip.noun_class) for clip in clips])
    duplicates, conflicts = [], []
    for start, stop in _blocks(len(clips)):
        rows, columns = slice(start, stop), slice(0, stop)
        bits = distances(hashes[rows], hashes[columns])
        same_content = contents[rows, None] == contents[None, columns]
        bits[same_content] = 0
        # Each pair once: with clips earlier in the order, whose splits are the same or earlier.
        bits[np.arange(stop)[None, :] >= np.arange(start, stop)[:, None]] = np.inf
        other_split = splits[rows, None] != splits[None, columns]
        contradicts = (labels[rows, None] != labels[None, columns]).any(axis=2) & (
            same_content | (sources[rows, None] != sources[None, columns])
        )
        for i, j, distance in _nearest(np.where(other_split, bits, np.inf), start):
            duplicates.append(
                NearDuplicate(uid=clips[i].uid, split=clips[i].split, other_uid=clips[j].uid, other_split=clips[j].split, distance=distance)
            )
        for i, j, _ in _nearest(np.where(contradicts, bits, np.inf), start):
            conflicts.append(LabelConflict(uid=clips[i].uid, action=clips[i].action, other_uid=clips[j].uid, other_action=clips[j].action))
    return tuple(sorted(duplicates, key=lambda pair: (pair.distance, pair.uid))), tuple(conflicts)


def _blocks(num_clips: int) -> Iterator[tuple[int, int]]:
    for start in range(0, num_clips, CLIPS_AT_ONCE):
        yield start, min(start + CLIPS_AT_ONCE, num_clips)


def _nearest(bits: NDArray[np.float32], start: int) -> Iterator[tuple[int, int, float]]:
    """Row (counted from `start`), column and bits of each row's nearest column, where it is near enough."""
    nearest = bits.argmin(axis=1)
    for row, column in enumerate(nearest.tolist()):
        if bits[row, column] <= MAX_DUPLICATE_BITS:
            yield start + row, column, float(bits[row, column])
