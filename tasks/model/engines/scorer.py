"""Scores the clips of one checkpoint: by one network, or by several whose logits are averaged."""

# k: crops, t: segments, f: features, h, w: pixels, p: 8-bit planes of a snippet, v: verbs, n: nouns

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from tasks.logit_mean import mean_logits
from tasks.model.checkpoints import HeadWeights, Saved
from tasks.model.consensus import Logits
from tasks.model.crops import Frames
from tasks.model.engines.choice import Job, Kind, Wanted, make_engine
from tasks.model.engines.engine import Engine
from tasks.results.evaluation import EngineUsed

CENTRE_VIEW = 8
"""Of TSN's ten: four corners, then the centre, each followed by its mirror image."""


@dataclass(frozen=True)
class Scorer:
    """One engine a network. Weights need not sum to 1."""

    engines: tuple[Engine, ...]
    weights: tuple[HeadWeights, ...]

    def score(self, inputs: Sequence[Frames]) -> Logits:
        """Score one clip.

        Args:
            inputs: for each network its test snippets of the clip, uint8 (t, h, w, p).

        Returns:
            float32 on the CPU, verb (v,) and noun (n,).

        Raises:
            BadInput: snippets do not fit their network.
        """
        return self.answer(self.see(inputs))

    def see(self, inputs: Sequence[Frames]) -> list[Tensor]:
        """Compute for each network the features of one clip, float32 (k, t, f) on the CPU; errors as of `score`."""
        return [engine.see(frames) for engine, frames in zip(self.engines, inputs, strict=True)]

    def score_and_see(self, inputs: Sequence[Frames]) -> tuple[Logits, Tensor]:
        """The same, and what the first network's backbone sees in the centre crop, averaged over segments: float32 (f,) on the CPU."""
        seen = self.see(inputs)
        return self.answer(seen), seen[0][CENTRE_VIEW if len(seen[0]) > 1 else 0].mean(dim=0)

    def answer(self, features: Sequence[Tensor]) -> Logits:
        """Give the logits, verb (v,) and noun (n,), of what `see` computed."""
        answers = [engine.answer(one) for engine, one in zip(self.engines, features, strict=True)]
        if len(answers) == 1:
            return answers[0]
        verbs, nouns = zip(*answers, strict=True)
        verb_shares, noun_shares = zip(*self.weights, strict=True)
        return Logits(_mean(verbs, verb_shares), _mean(nouns, noun_shares))


def make_scorer(saved: Saved, wanted: Wanted, jobs: Sequence[Job]) -> tuple[Scorer, EngineUsed]:
    """Engines that have passed the parity check; where one network falls back, all do, so that one name says what scored.

    Args:
        saved: whose networks it changes and keeps.
        wanted: the engine, or "auto".
        jobs: what each network is to score.

    Raises:
        BadConfiguration: the one asked for by name is not available here.
        BadInput: a checked clip does not fit its network.
    """
    engines, used = _made(saved, wanted, jobs)
    reason = next((one.fallback_reason for one in used if one.fallback_reason), None)
    while len({one.label for one in used}) > 1:
        engines, used = _made(saved, "pytorch" if "pytorch" in {one.name for one in used} else "openvino-float32", jobs)
    return Scorer(engines, saved.weights), _together(used).model_copy(update={"fallback_reason": reason})


def _made(saved: Saved, wanted: Wanted | Kind, jobs: Sequence[Job]) -> tuple[tuple[Engine, ...], tuple[EngineUsed, ...]]:
    engines, used = zip(*(make_engine(network, wanted, job) for network, job in zip(saved.networks, jobs, strict=True)), strict=True)
    return engines, used


def _mean(logits: Sequence[Tensor], shares: Sequence[float]) -> Tensor:
    return torch.from_numpy(mean_logits([one.numpy() for one in logits], shares))


def _together(used: Sequence[EngineUsed]) -> EngineUsed:
    """What is said of several engines of one kind: the check is that of the network that came nearest to its limit."""
    nearest = max(used, key=lambda one: (one.max_difference or 0) / (one.tolerance or 1))
    return nearest.model_copy(update={"description": "; ".join(dict.fromkeys(one.description for one in used))})
