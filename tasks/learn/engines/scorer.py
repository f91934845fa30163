"""Score clips with a checkpoint: one network, or several whose logits are averaged."""

# k: crops, t: segments, f: features, h, w: pixels, p: 8-bit planes of a snippet, v: verbs, n: nouns

import logging
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from tasks.learn.checkpoints import HeadWeights, Saved
from tasks.learn.consensus import Logits
from tasks.learn.crops import Frames, NumCrops
from tasks.learn.engines.choice import KINDS_IN_FLOAT32, Job, Kind, Wanted, common_label, make_engine
from tasks.learn.engines.engine import Engine, clip_logits
from tasks.learn.engines.parity import compare_answers
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.joining import HeadAmong
from tasks.learn.network import Network
from tasks.logit_mean import mean_logits
from tasks.store.records.evaluation import EngineUsed

log = logging.getLogger(__name__)

CENTRE_VIEW = 8
"""Index of the centre crop among TSN's ten crops. Four corners, then the centre, each followed by its mirror image."""


@dataclass(frozen=True)
class Scorer:
    """Engines and fusion weights of a checkpoint, one per network. Weights need not sum to 1.

    `joint` answers in place of the engines, if the checkpoint has a head on the features of all networks.
    """

    engines: tuple[Engine, ...]
    weights: tuple[HeadWeights, ...]
    joint: Network | None = None

    def score(self, inputs: Sequence[Frames]) -> Logits:
        """Score one clip.

        Args:
            inputs: the clip's test snippets for each network, as in `Engine.score`.

        Returns:
            float32 on the CPU, verb (v,) and noun (n,).

        Raises:
            BadInput: snippets do not fit their network.
        """
        return self.answer(self.see(inputs))

    def see(self, inputs: Sequence[Frames]) -> list[Tensor]:
        """Compute one clip's features for each network, float32 (k, t, f) on the CPU.

        See `score` for errors.
        """
        return [engine.see(frames) for engine, frames in zip(self.engines, inputs, strict=True)]

    def score_and_see(self, inputs: Sequence[Frames]) -> tuple[Logits, Tensor]:
        """Score one clip, and return the features of `centre` too, on the CPU."""
        features = self.see(inputs)
        return self.answer(features), centre(features)

    def explained(self, index: int, inputs: Sequence[Frames]) -> Network:
        """Return one of the networks, with a head that answers as the scorer does; it has a gradient.

        Of joined features, those of the other networks stay what they are for these `inputs`.
        """
        network = self.engines[index].network
        if self.joint is None:
            return network
        seen = [_centre(one)[None].clone() for one in self.see(inputs)]
        return deepcopy(network, {id(network.backbone): network.backbone, id(network.head): HeadAmong(self.joint, seen, index)})

    def hears_nothing(self, features: Sequence[Tensor]) -> bool:
        """Check whether these are features of a clip in which a network has nothing to hear."""
        return any(engine.hears_nothing(one) for engine, one in zip(self.engines, features, strict=True))

    def answer(self, features: Sequence[Tensor]) -> Logits:
        """Compute logits, verb (v,) and noun (n,), from the features of `see`."""
        if self.joint:
            with torch.inference_mode():
                return clip_logits(self.joint, self.joint.backbone(features))
        members = list(zip(self.engines, features, self.weights, strict=True))
        # A network that has nothing to hear does not count beside others.
        heard = [member for member in members if not member[0].hears_nothing(member[1])] or members
        answers = [engine.answer(one) for engine, one, _ in heard]
        if len(answers) == 1:
            return answers[0]
        verbs, nouns = zip(*answers, strict=True)
        verb_shares, noun_shares = zip(*(weights for _, _, weights in heard), strict=True)
        return Logits(_mean(verbs, verb_shares), _mean(nouns, noun_shares))


def centre(features: Sequence[Tensor]) -> Tensor:
    """Average the first network's centre-crop features of `Scorer.see` over segments and patches: float32 (f,)."""
    return _centre(features[0]).flatten(0, -2).mean(dim=0)


def make_scorer(saved: Saved, wanted: Wanted | Kind, jobs: Sequence[Job]) -> tuple[Scorer, EngineUsed]:
    """Build checked engines for all networks of a checkpoint.

    If one falls back, all do, but for heads on features of sound. If the joined answer fails its check, all are PyTorch.

    Args:
        saved: the checkpoint, whose networks are modified and kept.
        wanted: the engine, or "auto".
        jobs: one per network.

    Raises:
        BadConfiguration: the requested engine is not available here.
        BadInput: a checked clip does not fit its network.
    """
    engines, used = _make_engines(saved, wanted, jobs)
    seeing = [i for i, network in enumerate(saved.networks) if not network.spec.sound] or [0]
    reason = next((one.fallback_reason for one in used if one.fallback_reason), None)
    while len(labels := {used[i].label for i in seeing}) > 1:
        engines, used = _make_engines(saved, KINDS_IN_FLOAT32[common_label(labels)], jobs)
    if saved.joint is None:
        return Scorer(engines, saved.weights), _summarise([used[i] for i in seeing]).model_copy(update={"fallback_reason": reason})
    scorer = Scorer(engines, saved.weights, saved.joint.eval())
    if failure := _joint_failure(scorer, used[seeing[0]], jobs):
        reason = f"{used[seeing[0]].label} failed the parity check of the joined answer against PyTorch: {failure}"
        log.warning("falling back to PyTorch: %s", reason)
        engines, used = _make_engines(saved, "pytorch", jobs)
        scorer = replace(scorer, engines=engines)
    return scorer, _summarise([used[i] for i in seeing]).model_copy(update={"fallback_reason": reason})


def _joint_failure(scorer: Scorer, used: EngineUsed, jobs: Sequence[Job]) -> str | None:
    """Compare the joined answers with those of PyTorch in float32; return what differs too much.

    Each network has passed the check of its own answer, which may not depend on a feature that the joint head needs.
    """
    if not used.num_checked_clips:
        return None
    num_crops: NumCrops | None = 1 if used.precision == "int8" else None
    engines = (scorer.engines, tuple(PytorchEngine(engine.network, engine.num_crops) for engine in scorer.engines))
    clips = list(zip(*(job.checked() for job in jobs), strict=False))
    answers, expected = (
        [scorer.answer([engine.see(frames, num_crops) for engine, frames in zip(own, inputs, strict=True)]) for inputs in clips]
        for own in engines
    )
    return compare_answers(answers, expected, used.precision, jobs[0].trained).failure


def _make_engines(saved: Saved, wanted: Wanted | Kind, jobs: Sequence[Job]) -> tuple[tuple[Engine, ...], tuple[EngineUsed, ...]]:
    engines, used = zip(*(make_engine(network, wanted, job) for network, job in zip(saved.networks, jobs, strict=True)), strict=True)
    return engines, used


def _centre(features: Tensor) -> Tensor:
    """Select the centre crop's features (t, f) of (k, t, f)."""
    return features[CENTRE_VIEW if len(features) > 1 else 0]


def _mean(logits: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    return torch.from_numpy(mean_logits([one.numpy() for one in logits], shares))


def _summarise(used: Sequence[EngineUsed]) -> EngineUsed:
    """Summarise engines of one kind, with the check of the network closest to its limit."""
    closest = max(used, key=lambda one: (one.max_difference or 0) / (one.tolerance or 1))
    return closest.model_copy(update={"description": "; ".join(dict.fromkeys(one.description for one in used))})
