"""Fit linear probes (Alain and Bengio, arXiv 1610.01644) to cached features, by logistic regression.

The regularisation is chosen by cross-validation over source videos. Fitting is deterministic: nothing is drawn, and it has one thread.
"""

# n: clips, f: features, r: rank of the features, k: classes with training clips, v: all classes of a head

import logging
import warnings
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import log_softmax, softmax
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from threadpoolctl import threadpool_limits
from torch import nn

from tasks.errors import BadConfiguration
from tasks.learn.networks.joining import MIN_SPREAD
from tasks.wording import count

log = logging.getLogger(__name__)

STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
"""Scikit-learn's C, the inverse of the regularisation, on standardised features; the strongest regularisation first."""
DEFAULT_STRENGTH = 1e-2
"""C where no clip can be left out, as with a single source video."""
NUM_FOLDS = 5
CHOSEN_UP_TO = 500
"""Maximum number of clips for which `cross_fitted` chooses C."""
UNSEEN_MARGIN = 10.0
"""How far the logit of a class without training clips lies below the mean logit of the others, so that it is never the highest."""

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Linear:
    """A linear classifier of raw features: `weight` (v, f) and `bias` (v,)."""

    weight: Floats
    bias: Floats

    def __call__(self, features: Floats) -> Floats:
        """Map (n, f) to logits (n, v)."""
        logits: Floats = features @ self.weight.T + self.bias
        return logits


@dataclass(frozen=True)
class Choice:
    """The chosen C, and the mean loss (nats) of each on left-out videos, if any."""

    strength: float
    losses: dict[float, float]

    def __str__(self) -> str:
        if not self.losses:
            return f"C {self.strength:g}, as no class has clips of two source videos to choose it by"
        tried = ", ".join(f"{loss:.3f} at C {strength:g}" for strength, loss in self.losses.items())
        return f"C {self.strength:g}, by the loss on left-out source videos: {tried}"


def fit_probe(
    features: Floats, labels: Integers, sources: Sequence[Hashable], num_classes: int, *, balanced: bool = False
) -> tuple[Linear, Choice]:
    """Fit one head to features (n, f), one row for each training clip.

    Features are standardised for the fit; the classifier takes raw ones. Folds keep clips of the same one of `sources` together. If `balanced`,
    clips weigh as the inverse frequency of their class. The logit of a class without training clips is the mean of the others less
    `UNSEEN_MARGIN`.

    Raises:
        BadConfiguration: features are no finite numbers.
    """
    _require_finite(features)
    with threadpool_limits(1):
        strength, losses = _choose(features, labels, _groups(sources), balanced=balanced)
        seen = _Reduced.of(features).fit(labels, strength, balanced=balanced)
    classes = np.unique(labels)
    weight = np.tile(seen.weight.mean(0), (num_classes, 1))
    bias = np.full(num_classes, seen.bias.mean() - UNSEEN_MARGIN)
    weight[classes], bias[classes] = seen.weight, seen.bias
    return Linear(weight, bias), Choice(strength, losses)


def cross_fitted(features: Floats, labels: Integers, sources: Sequence[Hashable]) -> Floats:
    """Compute probabilities (n, k) by probes that saw no clip of the same source video.

    Columns are the classes of `labels` in order. C alone is chosen on all clips. Probabilities are not a number where no probe could be fitted,
    and for classes that no other video has; with a single class they are 1.

    Raises:
        BadConfiguration: features are no finite numbers.
    """
    _require_finite(features)
    classes, places = np.unique(labels, return_inverse=True)
    groups = _groups(sources)
    if len(classes) == 1:
        return np.ones((len(labels), 1))
    probabilities = np.full((len(labels), len(classes)), np.nan)
    with threadpool_limits(1):
        strength = _choose(features, places, groups, balanced=False)[0] if len(labels) <= CHOSEN_UP_TO else DEFAULT_STRENGTH
        for fitted, left_out in _folds(groups):
            seen = np.unique(places[fitted])
            if len(seen) > 1:
                logits = _Reduced.of(features[fitted]).fit(places[fitted], strength, balanced=False)(features[left_out])
                probabilities[np.ix_(left_out, seen)] = softmax(logits, axis=1)
    return probabilities


def fit_heads(
    head: nn.Module, features: Floats, verbs: Integers, nouns: Integers | None, sources: Sequence[Hashable], *, balanced: bool = False
) -> None:
    """Fit the linear heads of a network in place, and log the choices."""
    for target, labels in (("verb", verbs), ("noun", nouns)):
        if labels is None:
            continue
        layer = head.get_submodule(f"fc_{target}")
        fitted, choice = fit_probe(features, labels, sources, len(layer.get_parameter("bias")), balanced=balanced)
        with torch.no_grad():
            for name in ("weight", "bias"):
                layer.get_parameter(name).copy_(torch.from_numpy(getattr(fitted, name)))
        log.info(
            "probe of %s on %s of %s: %s",
            count(len(np.unique(labels)), target), count(len(labels), "clip"), count(len(set(sources)), "source video"), choice,
        )  # fmt: skip


@dataclass(frozen=True)
class _Reduced:
    """Standardised features in coordinates (n, r) of their rank, with the same regularised solution.

    The coordinates are raw features less `mean`, times `basis` (f, r).
    """

    coordinates: Floats
    mean: Floats
    basis: Floats

    @classmethod
    def of(cls, features: Floats) -> "_Reduced":
        mean, std = features.mean(0), features.std(0)
        scale = np.maximum(std, MIN_SPREAD * std.mean()) if std.any() else np.ones_like(std)
        standardised = (features - mean) / scale
        if len(features) >= features.shape[1]:
            return cls(standardised, mean, np.diag(1 / scale))
        _, _, directions = np.linalg.svd(standardised, full_matrices=False)
        return cls(standardised @ directions.T, mean, directions.T / scale[:, None])

    def fit(self, labels: Integers, strength: float, *, balanced: bool) -> Linear:
        """Fit a classifier of raw features (k, f) to the classes of `labels`."""
        num_seen = len(np.unique(labels))
        if num_seen == 1:
            return Linear(np.zeros((1, len(self.mean))), np.zeros(1))
        model = LogisticRegression(C=strength, max_iter=1000, tol=1e-5, class_weight="balanced" if balanced else None)
        with warnings.catch_warnings():
            # Weak regularisation converges slowly, and then is not chosen.
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(self.coordinates, labels)
        weight, bias = model.coef_, model.intercept_
        if num_seen == 2:
            # Of two classes scikit-learn keeps the difference of the logits.
            weight, bias = np.concatenate([-weight / 2, weight / 2]), np.concatenate([-bias / 2, bias / 2])
        raw = weight @ self.basis.T
        return Linear(raw, bias - raw @ self.mean)


def _choose(features: Floats, labels: Integers, groups: Integers, *, balanced: bool) -> tuple[float, dict[float, float]]:
    """Choose C by the mean loss on left-out videos; of equal losses the stronger regularisation.

    A clip counts where its class has clips of other videos: without them nothing can be learned about it.
    """
    totals, num_counted = np.zeros(len(STRENGTHS)), 0
    for fitted, left_out in _folds(groups):
        classes = np.unique(labels[fitted])
        counted = left_out[np.isin(labels[left_out], classes)]
        if len(classes) < 2 or not len(counted):
            continue
        reduced = _Reduced.of(features[fitted])
        places = np.searchsorted(classes, labels[counted])
        for i, strength in enumerate(STRENGTHS):
            logits = reduced.fit(labels[fitted], strength, balanced=balanced)(features[counted])
            totals[i] -= log_softmax(logits, axis=1)[np.arange(len(counted)), places].sum()
        num_counted += len(counted)
    if not num_counted:
        return DEFAULT_STRENGTH, {}
    losses = {strength: float(total / num_counted) for strength, total in zip(STRENGTHS, totals, strict=True)}
    return min(losses, key=lambda strength: (losses[strength], strength)), losses


def _require_finite(features: Floats) -> None:
    is_finite = np.isfinite(features).all(axis=1)
    if not is_finite.all():
        raise BadConfiguration(
            f"the features of {count(int((~is_finite).sum()), 'clip')} of {len(features)} are no finite numbers, which a probe cannot be fitted to; "
            "choose precision 32-true, or other weights of the backbone"
        )


def _groups(sources: Sequence[Hashable]) -> Integers:
    return np.unique([str(source) for source in sources], return_inverse=True)[1]


def _folds(groups: Integers) -> Iterator[tuple[Integers, Integers]]:
    """Yield places of clips to fit and leave out; none with a single source."""
    num_groups = len(np.unique(groups))
    if num_groups > 1:
        yield from GroupKFold(min(NUM_FOLDS, num_groups)).split(groups, groups=groups)
