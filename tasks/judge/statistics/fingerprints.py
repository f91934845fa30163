"""Compute perceptual hashes of clips, compare them, and store them as Parquet.

Legend: n and k clips, t frames, h and w pixels.
"""

from collections.abc import Mapping

import imagehash
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image

from tasks.judge.statistics.parquet import decode, encode

Fingerprint = NDArray[np.uint64]

NO_TEXTURE = np.uint64(0)
"""Marks a frame without texture, whose hash would be noise. No frame hashes to 0: its mean brightness, the lowest frequency, lies above
the median."""

TEXTURE_SIDE = 32
MIN_TEXTURE = 4.0
"""Minimum standard deviation of a 32 x 32 thumbnail, in grey levels (0-255).

It is at least 28 in kitchen films, below 1 on a wall or a black frame.
"""

SCHEMA = pa.schema(
    [("uid", pa.string()), ("hashes", pa.list_(pa.uint64()))], metadata={"retake": "64-bit pHash of each test frame, 0 for no texture"}
)


def fingerprint(frames: NDArray[np.uint8]) -> Fingerprint:
    """Hash every frame with the 64-bit pHash of the ImageHash package.

    A bit is set where a low frequency of the frame lies above their median; encoding, scale and brightness change few bits.

    Args:
        frames: (t, h, w, 3) RGB, ideally the same moments of every clip, such as the network's test frames.

    Returns:
        (t,) hashes, `NO_TEXTURE` for a frame without texture.
    """
    return np.array([_hash(Image.fromarray(frame)) for frame in frames], np.uint64)


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
    """Encode fingerprints as a Parquet file, one row per clip.

    Rows are in the order of the mapping.
    """
    columns = {"uid": list(fingerprints), "hashes": [hashes.tolist() for hashes in fingerprints.values()]}
    return encode(pa.table(columns, schema=SCHEMA))


def from_parquet(data: bytes, uri: str) -> dict[str, Fingerprint]:
    """Read the fingerprints that `to_parquet` wrote.

    Args:
        data: the file's bytes.
        uri: the file's address, for error messages.

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
