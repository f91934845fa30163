"""Check the dataset for leakage by perceptual hashes, missing classes, and contradicting labels.

Legend: n and k clips, t frames, h and w pixels.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence

import imagehash
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from tasks.errors import BadInput
from tasks.judge.statistics.answers import decode, encode
from tasks.store.records.dataset import Agreement, DatasetClip, SharedRecording
from tasks.store.records.metrics import DataChecks, LabelConflict, NearDuplicate, TwoActions
from tasks.store.records.record import SPLITS, TARGETS, SplitName, Target
from tasks.wording import count_with_verb

Fingerprint = NDArray[np.uint64]

MAX_DUPLICATE_BITS = 10.0
"""Of 64, averaged over frames. Measured on 11 videos of one kitchen counter: re-encoding, brightening, downscaling or cropping by a twentieth
changes up to 7 bits, cutting half a second later 4 to 18; the two halves of one video differ by
at least 13 bits, two videos by at least 17."""

NUM_WHOLE = 8
"""Frames of a fingerprint. The hashes of their centres follow those of the whole frames; files of before have none."""
CENTRE = 0.9
"""Share of width and height of a frame's centre: a copy may be cut to it."""

CENTRE_BITS = 4.0
"""Added to a distance to a centre. A cut copy, even dark and of half the size, differs from it by up to 3 bits, two videos by at least 12: of three
distances the least is smaller by chance."""

NUM_CLIPS_PER_BLOCK = 256

NO_TEXTURE = np.uint64(0)
"""Marks a frame without texture, whose hash would be noise. No frame hashes to 0: its mean brightness, the lowest frequency, lies above
the median."""

TEXTURE_SIDE = 32

MIN_TEXTURE = 4.0
"""Minimum standard deviation of a 32 x 32 thumbnail, in grey levels (0-255).

It is at least 28 in kitchen videos, below 1 on a wall or a black frame.
"""

SCHEMA = pa.schema(
    [("uid", pa.string()), ("hashes", pa.list_(pa.uint64()))],
    metadata={"retake": "64-bit pHash of each test frame, then of its centre, 0 for no texture"},
)


def check_data(
    clips: Sequence[DatasetClip],
    fingerprints: Mapping[str, Fingerprint],
    targets: Collection[Target],
    agreement: Agreement | None = None,
    without_clip: tuple[str, ...] = (),
    shared_recordings: tuple[SharedRecording, ...] = (),
) -> DataChecks:
    """Find leakage between splits, classes missing from train, and contradicting labels.

    A val clip is listed with its nearest near-duplicate in train, a test clip with the nearest in train or val. A clip whose label is
    contradicted is listed once, with the nearest clip that contradicts it. Clips of one source video always look alike, so their labels
    contradict each other only if the content is identical. Memory grows linearly with the number of clips.

    Args:
        fingerprints: (t,) perceptual hashes of each clip, by uid; t is the same for all.
        targets: targets whose classes must all occur in train.
        agreement: of two readers, None if nobody read a clip twice.
        without_clip: a line for each annotation file with intervals that label no clip.
        shared_recordings: those that val shares with train, or test with train or val.

    Raises:
        BadInput: a clip has no fingerprint, or fingerprints differ in length.
    """
    ordered = sorted(clips, key=lambda clip: (SPLITS.index(clip.split), clip.uid))
    num_splits = Counter(source for source, _ in {(clip.source, clip.split) for clip in ordered})
    duplicates, conflicts = _look_alikes(ordered, _stacked(ordered, fingerprints))
    return DataChecks(
        shared_sources=tuple(source for source, number in sorted(num_splits.items()) if number > 1),
        near_duplicates=duplicates,
        missing_from_train=_missing_from_train(ordered, targets),
        label_conflicts=conflicts,
        agreement=agreement,
        without_clip=without_clip,
        shared_recordings=shared_recordings,
        two_actions=tuple(
            TwoActions(uid=clip.uid, action=clip.action, second_action=clip.second_action) for clip in ordered if clip.second_action
        ),
    )


def _stacked(clips: Sequence[DatasetClip], fingerprints: Mapping[str, Fingerprint]) -> Fingerprint:
    """Stack the fingerprints as (n, t) in the order of the clips."""
    if missing := [clip.uid for clip in clips if clip.uid not in fingerprints]:
        raise BadInput(
            f"{count_with_verb(len(missing), 'clip', 'has', 'have')} no fingerprint, first {missing[0]}; compute one for every clip of the dataset"
        )
    lengths = {len(fingerprints[clip.uid]) for clip in clips}
    if len(lengths) > 1 and lengths != {NUM_WHOLE, 2 * NUM_WHOLE}:
        raise BadInput("fingerprints differ in their number of frames; compute all of them with the same number of segments")
    return np.array([fingerprints[clip.uid][: min(lengths)] for clip in clips], np.uint64)


def _missing_from_train(clips: Sequence[DatasetClip], targets: Collection[Target]) -> tuple[str, ...]:
    """List classes missing from train, such as `noun sauce (val, test)`, by target and id."""
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
    for start in range(0, len(clips), NUM_CLIPS_PER_BLOCK):
        stop = min(start + NUM_CLIPS_PER_BLOCK, len(clips))
        rows, columns = slice(start, stop), slice(0, stop)
        bits = _distances_in_centres(hashes[rows], hashes[columns])
        same_content = contents[rows, None] == contents[None, columns]
        bits[same_content] = 0
        # Compare each clip only with earlier clips, whose splits are the same or earlier, so each pair is seen once.
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


def _distances_in_centres(ours: Fingerprint, theirs: Fingerprint) -> NDArray[np.float32]:
    """Compute the least distances of clips, also to each other's centre for `CENTRE_BITS` more."""
    (whole, centre), (other_whole, other_centre) = ((each[:, :NUM_WHOLE], each[:, NUM_WHOLE:]) for each in (ours, theirs))
    bits = distances(whole, other_whole)
    if centre.shape[1] == NUM_WHOLE:
        bits = np.minimum(bits, np.minimum(distances(centre, other_whole), distances(whole, other_centre)) + np.float32(CENTRE_BITS))
    return bits


def _nearest(bits: NDArray[np.float32], start: int) -> Iterator[tuple[int, int, float]]:
    """Yield row (counted from `start`), nearest column and distance in bits, for rows within `MAX_DUPLICATE_BITS`."""
    nearest = bits.argmin(axis=1)
    for row, column in enumerate(nearest.tolist()):
        if bits[row, column] <= MAX_DUPLICATE_BITS:
            yield start + row, column, float(bits[row, column])


def fingerprint(frames: NDArray[np.uint8]) -> Fingerprint:
    """Hash every frame, and its centre, with the 64-bit pHash of the ImageHash package.

    A bit is set where a low frequency of the frame lies above their median; encoding, scale and brightness change few bits.

    Args:
        frames: (t, h, w, 3) RGB, ideally the same moments of every clip, such as the network's test frames.

    Returns:
        (2 t,) hashes of the frames and then of their centres, `NO_TEXTURE` for one without texture.
    """
    height, width = frames.shape[1:3]
    top, left = round(height * (1 - CENTRE) / 2), round(width * (1 - CENTRE) / 2)
    centres = frames[:, top : height - top, left : width - left]
    return np.array([_hash(Image.fromarray(frame)) for frame in (*frames, *centres)], np.uint64)


def distances(ours: Fingerprint, theirs: Fingerprint) -> NDArray[np.float32]:
    """Compute the mean number of differing bits per frame between clips.

    Only frames in which both clips have texture count; the distance is infinite if these are fewer than half.

    Args:
        ours: (n, t) hashes.
        theirs: (k, t) hashes.

    Returns:
        (n, k) bits, 0 for identical pictures, about 32 for unrelated ones.
    """
    num_frames = ours.shape[1]
    bits = np.zeros((len(ours), len(theirs)), np.uint16)
    num_compared = np.zeros_like(bits)
    for i in range(num_frames):
        a, b = ours[:, i, None], theirs[None, :, i]
        compared = (a != NO_TEXTURE) & (b != NO_TEXTURE)
        bits += np.where(compared, np.bitwise_count(a ^ b), 0).astype(np.uint16)
        num_compared += compared
    means = bits / np.maximum(num_compared, 1).astype(np.float32)
    return np.where(2 * num_compared >= num_frames, means, np.inf).astype(np.float32)


def to_parquet(fingerprints: Mapping[str, Fingerprint]) -> bytes:
    """Encode fingerprints as a Parquet file, one row per clip, in order."""
    columns = {"uid": list(fingerprints), "hashes": [hashes.tolist() for hashes in fingerprints.values()]}
    return encode(pa.table(columns, schema=SCHEMA))


def from_parquet(data: bytes, uri: str) -> dict[str, Fingerprint]:
    """Read the fingerprints that `to_parquet` wrote.

    Raises:
        BadInput: the bytes are not a fingerprints file.
    """
    table = decode(data, uri, SCHEMA, "fingerprints")
    return {uid: np.array(hashes, np.uint64) for uid, hashes in zip(*(table[name].to_pylist() for name in SCHEMA.names), strict=True)}


def _hash(picture: Image.Image) -> np.uint64:
    grey = picture.convert("L")
    if np.asarray(grey.resize((TEXTURE_SIDE, TEXTURE_SIDE))).std() < MIN_TEXTURE:
        return NO_TEXTURE
    return np.uint64(int(str(imagehash.phash(grey)), 16))
