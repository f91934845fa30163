"""Choose on val the weights for averaging several networks' logits.

Legend: k networks, n clips, c classes of a head.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

from tasks.errors import BadInput
from tasks.judge.statistics.calibration import fit_temperature, folds
from tasks.judge.statistics.scoring import Logits, ScoredClips
from tasks.logit_mean import mean_logits
from tasks.store.records.training import FusedMember, Fusion

TEMPERATURES = (1e-3, 1e3)
"""Search limits, in multiples of the logits' spread. The choice must not depend on the scale of a network's logits."""

RIDGE = 1e-6
"""Penalty on a squared factor, in nats. It selects the smallest of many equally good factors, as when val has no mistakes left."""

Weights = NDArray[np.float64]
Ids = NDArray[np.int64]


@dataclass(frozen=True)
class HeadFusion:
    """One head's weights (k,), non-negative with sum 1, and the fused logits' lowest cross-entropy."""

    weights: Weights
    loss: float


def fuse(members: Sequence[ScoredClips], names: Sequence[tuple[str, str]]) -> Fusion:
    """Choose the weights of each head; compare them with equal ones and each network alone.

    Clips whose classes no network has outputs for are left out.

    Args:
        members: the scored val clips of each of k networks, k at least 2.
        names: (k,) name and description of each network.

    Raises:
        BadInput: the networks were not scored on the same clips, or one has no outputs for any of them.
    """
    first = members[0]
    if any((member.uids, member.sources) != (first.uids, first.sources) for member in members):
        raise BadInput("the networks of a fusion were not scored on the same clips; run `train` again")
    has_outputs = np.logical_or.reduce([member.has_outputs for member in members])
    members = [member.only(has_outputs) for member in members]
    first = members[0]
    for clips, (name, _) in zip(members, names, strict=True):
        if not clips.has_outputs.any():
            raise BadInput(f"fuse: {name} has no outputs for the classes of any val clip; leave it out, or train it again on this dataset")
    heads = [
        ([member.verb_logits for member in members], first.verb_classes),
        ([member.noun_logits for member in members], first.noun_classes),
    ]
    verb, noun = (choose_weights(logits, classes) for logits, classes in heads)
    alone = [sum(best_loss(logits[i], classes) for logits, classes in heads) for i in range(len(members))]
    equal = np.full(len(members), 1 / len(members))
    held_out, held_out_equal = _held_out(heads, first.sources)
    return Fusion(
        members=tuple(
            FusedMember(
                name=name, network=network, verb_weight=float(verb.weights[i]), noun_weight=float(noun.weights[i]), val_loss=alone[i]
            )
            for i, (name, network) in enumerate(names)
        ),
        num_clips=len(first.uids),
        num_sources=len(set(first.sources)),
        chosen_loss=verb.loss + noun.loss,
        equal_loss=sum(best_loss(mean_logits(logits, equal), classes) for logits, classes in heads),
        held_out_loss=held_out,
        held_out_equal_loss=held_out_equal,
    )


def choose_weights(logits: Sequence[Logits], classes: Ids) -> HeadFusion:
    """Choose weights that minimise the fused logits' cross-entropy at its best temperature.

    The weights are normalised non-negative factors, one per network, that minimise the cross-entropy of the weighted sum of logits. The problem is convex,
    so the result does not depend on the start, and the factors combine each network's temperature, the overall temperature and the weights:
    the scale of a network's logits does not matter. The sum of the factors, an inverse temperature, changes no ranking.

    If the networks have different classes, only the shared classes are used; if no clip has a shared class, the weights are equal.

    Args:
        logits: (n, c) of each of k networks.
        classes: (n,) true class ids.
    """
    weights = _weights(logits, classes)
    return HeadFusion(weights, best_loss(mean_logits(logits, weights), classes))


def _weights(logits: Sequence[Logits], classes: Ids) -> Weights:
    num_shared = min(head.shape[1] for head in logits)
    equal = np.full(len(logits), 1 / len(logits))
    of_shared = classes < num_shared
    if not of_shared.any():
        return equal
    logits, classes = [head[of_shared, :num_shared] for head in logits], classes[of_shared]
    spreads = np.array([_spread(head) for head in logits])
    scaled = np.stack([head.astype(np.float64) / spread for head, spread in zip(logits, spreads, strict=True)])
    num_networks, num_clips, _ = scaled.shape
    rows = np.arange(num_clips)
    true = scaled[:, rows, classes]

    def loss(factors: Weights) -> tuple[float, Weights]:
        """Compute the mean cross-entropy with the ridge, and its gradient."""
        fused = np.tensordot(factors, scaled, axes=1)
        value = -log_softmax(fused, axis=1)[rows, classes].mean() + RIDGE * (factors**2).sum()
        gradient = (np.einsum("nc,knc->kn", softmax(fused, axis=1), scaled) - true).mean(axis=1) + 2 * RIDGE * factors
        return float(value), gradient

    optimum = minimize(
        loss, equal, jac=True, method="L-BFGS-B", bounds=[(0, 1 / TEMPERATURES[0])] * num_networks, options={"ftol": 1e-12, "gtol": 1e-8}
    )
    factors = np.asarray(optimum.x)
    # If no network is informative, all factors are zero; use equal weights.
    shares = factors / spreads if factors.sum() > 1e-6 else equal
    weights: Weights = shares / shares.sum()
    return weights


def best_loss(logits: Logits, classes: Ids) -> float:
    """Compute the mean cross-entropy (nats) at the best temperature, of clips with outputs."""
    within = classes < logits.shape[1]
    own, true = logits[within], classes[within]
    return _loss(own, true, _temperature(own, true))


def _held_out(heads: Sequence[tuple[Sequence[Logits], Ids]], sources: Sequence[str]) -> tuple[float | None, float | None]:
    """Score folds of videos, each fitted on the other, with chosen and with equal weights."""
    halves = folds(sources)
    if halves is None:
        return None, None
    sums = np.zeros(2)
    for logits, classes in heads:
        for fold in (halves, ~halves):
            theirs, ours = [head[~fold] for head in logits], [head[fold] for head in logits]
            for i, weights in enumerate((choose_weights(theirs, classes[~fold]).weights, np.full(len(logits), 1 / len(logits)))):
                temperature = _temperature(mean_logits(theirs, weights), classes[~fold])
                sums[i] += _loss(mean_logits(ours, weights), classes[fold], temperature) * fold.sum() / len(fold)
    return float(sums[0]), float(sums[1])


def _temperature(logits: Logits, classes: Ids) -> float:
    """Fit the temperature within `TEMPERATURES` times the logits' spread."""
    spread = _spread(logits)
    return spread * fit_temperature(logits / spread, classes, TEMPERATURES)


def _spread(logits: Logits) -> float:
    """Compute the logits' standard deviation around each clip's mean; 1 if all logits are equal."""
    doubles = logits.astype(np.float64)
    return float((doubles - doubles.mean(axis=1, keepdims=True)).std()) or 1.0


def _loss(logits: Logits, classes: Ids, temperature: float) -> float:
    return float(-log_softmax(logits.astype(np.float64) / temperature, axis=1)[np.arange(len(classes)), classes].mean())
