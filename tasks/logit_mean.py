"""Average the logits of several networks, which may have different numbers of classes."""

# c: classes; leading dimensions are any, such as clips

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import logsumexp

Logits = NDArray[np.float32]


def mean_logits(logits: Sequence[Logits], weights: Sequence[float] | NDArray[np.float64]) -> Logits:
    """Average the networks' logits (…, c) with weights, which need not sum to 1.

    If only some networks have an output for a class, these determine its odds against all classes with lower ids.
    """
    fewest, *more = sorted({network.shape[-1] for network in logits})
    mean = _pooled(logits, weights, fewest)
    for size in more:
        pooled, known = _pooled(logits, weights, size), mean.shape[-1]
        odds = pooled[..., known:] - logsumexp(pooled[..., :known], axis=-1, keepdims=True)
        mean = np.concatenate([mean, logsumexp(mean, axis=-1, keepdims=True) + odds], axis=-1)
    return mean.astype(np.float32)


def _pooled(logits: Sequence[Logits], weights: Sequence[float] | NDArray[np.float64], size: int) -> NDArray[np.float64]:
    """Average the first `size` logits over the networks that have them."""
    having = [i for i, network in enumerate(logits) if network.shape[-1] >= size]
    shares = np.asarray(weights, np.float64)[having]
    if not shares.any():
        shares = np.ones(len(having))
    stacked = np.stack([logits[i][..., :size] for i in having]).astype(np.float64)
    return np.asarray(np.tensordot(shares / shares.sum(), stacked, axes=1))
