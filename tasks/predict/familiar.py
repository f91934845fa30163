"""Measure a clip's distance from the model's training clips in backbone features.

Legend: n and m clips, f features.
"""

import io

import numpy as np
from numpy.typing import NDArray

from tasks.errors import BadInput

Features = NDArray[np.float32]


def directions(features: Features) -> Features:
    """Scale (n, f) features to unit length, so that dot products are cosines.

    Zero rows stay zero.
    """
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: Features = (features / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32, copy=False)
    return unit


def distances_to_nearest(features: Features, known: Features) -> NDArray[np.float64]:
    """Compute (n,) cosine distances to the nearest `known`.

    `known` is (m, f), m at least 1; 0 is parallel, 1 orthogonal.
    """
    nearest = (directions(features) @ directions(known).T).max(axis=1)
    found: NDArray[np.float64] = np.clip(1.0 - nearest.astype(np.float64), 0.0, 2.0)
    return found


def to_bytes(features: Features) -> bytes:
    """Encode (m, f) features as the bytes of a `.npy` file."""
    buffer = io.BytesIO()
    np.save(buffer, features.astype(np.float32), allow_pickle=False)
    return buffer.getvalue()


def from_bytes(data: bytes, uri: str) -> Features:
    """Decode the output of `to_bytes`.

    Args:
        data: the file's bytes.
        uri: the file's address, for messages.

    Raises:
        BadInput: the bytes are not a file of features.
    """
    try:
        found: Features = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError):
        raise BadInput(f"{uri} is not a file of features; delete it and predict again") from None
    if found.ndim != 2 or found.dtype != np.float32:
        raise BadInput(f"{uri} is not a file of features; delete it and predict again")
    return found
