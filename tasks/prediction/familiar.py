"""How far a clip is from those that a model was trained on, by what its backbone sees.

Legend: n and m clips, f features.
"""

import io

import numpy as np
from numpy.typing import NDArray

from tasks.errors import BadInput

Features = NDArray[np.float32]


def directions(features: Features) -> Features:
    """(n, f) features scaled to length 1, so that a product of two is their cosine; a row of zeros stays one."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    unit: Features = (features / np.maximum(lengths, np.finfo(np.float32).tiny)).astype(np.float32, copy=False)
    return unit


def distances_to_nearest(features: Features, known: Features) -> NDArray[np.float64]:
    """(n,) cosine distance of each of (n, f) to the nearest of (m, f), m at least 1: 0 the same direction, 1 nothing in common."""
    nearest = (directions(features) @ directions(known).T).max(axis=1)
    found: NDArray[np.float64] = np.clip(1.0 - nearest.astype(np.float64), 0.0, 2.0)
    return found


def to_bytes(features: Features) -> bytes:
    """(m, f) features as the bytes of an array file."""
    buffer = io.BytesIO()
    np.save(buffer, features.astype(np.float32), allow_pickle=False)
    return buffer.getvalue()


def from_bytes(data: bytes, uri: str) -> Features:
    """Read back what `to_bytes` wrote.

    Args:
        data: the file's bytes.
        uri: where they came from, for messages.

    Raises:
        BadInput: the bytes are no such file.
    """
    try:
        found: Features = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError):
        raise BadInput(f"{uri} is no file of features; delete it and predict again") from None
    if found.ndim != 2 or found.dtype != np.float32:
        raise BadInput(f"{uri} is no file of features; delete it and predict again")
    return found
