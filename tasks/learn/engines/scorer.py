"""Score clips, and the windows between them, with a checkpoint: one network, or several together."""

# k: crops, t: segments, f: features, h, w: pixels, p: 8-bit planes of a snippet, v: verbs, n: nouns

import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from tasks.errors import RetakeError, Unavailable
from tasks.learn.engines.cached_features import keep, open_cache
from tasks.learn.engines.choice import KINDS_IN_FLOAT32, Kind, ScoringJob, Wanted, common_label, compare_logits, make_engine
from tasks.learn.engines.engine import Engine, clip_logits
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.inputs.crops import Frames
from tasks.learn.inputs.snippets import WindowGrid, frames_in_test, frames_of_window, further_frames, sees_single_frames, snippets_in_test
from tasks.learn.networks.checkpoints import HeadWeights, Saved
from tasks.learn.networks.heads import Logits
from tasks.learn.networks.joining import HeadAmong
from tasks.learn.networks.network import Network
from tasks.logit_mean import mean_logits
from tasks.store.records.evaluation import EngineUsed

log = logging.getLogger(__name__)

CENTRE_VIEW = 8
"""Index of the centre crop among TSN's ten: four corners, then the centre, each followed by its mirror image."""

Own = Mapping[int, Any]
"""A network's features (k, f) of one clip by frame, or the frames (h, w, 3) if features are not of single frames."""

Noted = tuple[Own, ...]
"""The same for each network."""


@dataclass(frozen=True)
class Scorer:
    """Engines and fusion weights of a checkpoint, one per network.

    Weights need not sum to 1. `joint`, if there is one, answers in place of the engines, from the features of all networks.
    """

    engines: tuple[Engine, ...]
    weights: tuple[HeadWeights, ...]
    joint: Network | None = None

    def score(self, inputs: Sequence[Frames]) -> Logits:
        """Score one clip by its test snippets for each network, as `Engine.score`.

        Raises:
            BadInput: snippets do not fit their network.
        """
        return self.answer(self.see(inputs))

    def see(self, inputs: Sequence[Frames]) -> list[Tensor]:
        """Compute one clip's features for each network, as `Engine.see`; raises as `score`."""
        return [engine.see(frames) for engine, frames in zip(self.engines, inputs, strict=True)]

    def explained(self, index: int, inputs: Sequence[Frames]) -> Network:
        """Return a network that answers as the scorer does, with gradients.

        A joint head keeps the features that the other networks have for `inputs`.
        """
        network = self.engines[index].network
        if self.joint is None:
            return network
        seen = [_centre(own)[None].clone() for own in self.see(inputs)]
        return deepcopy(network, {id(network.backbone): network.backbone, id(network.head): HeadAmong(self.joint, seen, index)})

    def is_silent(self, features: Sequence[Tensor]) -> bool:
        """Check whether these are features of a clip that is silent to a network."""
        return any(engine.is_silent(own) for engine, own in zip(self.engines, features, strict=True))

    def answer(self, features: Sequence[Tensor]) -> Logits:
        """Compute logits, verb (v,) and noun (n,), from the features of `see`."""
        if self.joint:
            with torch.inference_mode():
                return clip_logits(self.joint, self.joint.backbone(features))
        members = list(zip(self.engines, features, self.weights, strict=True))
        # A network to which the clip is silent does not count beside others.
        audible = [member for member in members if not member[0].is_silent(member[1])] or members
        answers = [engine.answer(own) for engine, own, _ in audible]
        if len(answers) == 1:
            return answers[0]
        verbs, nouns = zip(*(logits.numpy() for logits in answers), strict=True)
        verb_shares, noun_shares = zip(*(weights for _, _, weights in audible), strict=True)
        return Logits(torch.from_numpy(mean_logits(verbs, verb_shares)), torch.from_numpy(mean_logits(nouns, noun_shares)))


def centre(features: Sequence[Tensor]) -> Tensor:
    """Average the first network's centre-crop features of `Scorer.see` over segments: float32 (f,)."""
    return _centre(features[0]).mean(dim=0)


def make_scorer(saved: Saved, wanted: Wanted | Kind, jobs: Sequence[ScoringJob]) -> tuple[Scorer, EngineUsed]:
    """Build checked engines for all networks of a checkpoint, which are modified.

    If one falls back, all do, except heads on features of sound. If the joined answer fails its check, all are PyTorch.

    Raises:
        BadConfiguration: the requested engine is not available here.
        BadInput: a checked clip does not fit its network.
    """
    engines, used = _make_engines(saved, wanted, jobs)
    seeing = [i for i, network in enumerate(saved.networks) if not network.spec.sound] or [0]
    reason = next((engine_used.fallback_reason for engine_used in used if engine_used.fallback_reason), None)
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


def _joint_failure(scorer: Scorer, used: EngineUsed, jobs: Sequence[ScoringJob]) -> str | None:
    """Compare the joined answers with those of PyTorch in float32; return what differs too much."""
    if not used.num_checked_clips:
        return None
    # A network's own answer, which has passed its check, may not depend on a feature that the joint head needs.
    reference = replace(scorer, engines=tuple(PytorchEngine(engine.network, engine.num_crops) for engine in scorer.engines))
    clips = list(zip(*(job.checked() for job in jobs), strict=False))
    answers, expected = ([each.score(inputs) for inputs in clips] for each in (scorer, reference))
    return compare_logits(answers, expected, used.precision, jobs[0].trained).failure


def _make_engines(saved: Saved, wanted: Wanted | Kind, jobs: Sequence[ScoringJob]) -> tuple[tuple[Engine, ...], tuple[EngineUsed, ...]]:
    engines, used = zip(*(make_engine(network, wanted, job) for network, job in zip(saved.networks, jobs, strict=True)), strict=True)
    return engines, used


def _centre(features: Tensor) -> Tensor:
    """Select the centre crop's features (t, f) of (k, t, f)."""
    return features[CENTRE_VIEW if len(features) > 1 else 0]


def _summarise(used: Sequence[EngineUsed]) -> EngineUsed:
    """Summarise engines of one kind, with the check of the network closest to its limit."""
    closest = max(used, key=lambda engine: (engine.max_difference or 0) / (engine.tolerance or 1))
    return closest.model_copy(update={"description": "; ".join(dict.fromkeys(engine.description for engine in used))})


class SharedFeatures:
    """Cache of a scorer's features per clip, shared by networks with other heads.

    Args:
        root: folder of the feature cache.
        scorer: computes missing features.
        used: its engine, part of the cache key because engines compute slightly different features.
        clips: the clips to score, by hash; nothing is cached if the disk has no room for them.
    """

    def __init__(self, root: Path, scorer: Scorer, used: EngineUsed, clips: Collection[str]) -> None:
        self._scorer = scorer
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="features")
        self._caches = [open_cache(root, engine, used, (scorer.joint or engine.network).head) for engine in scorer.engines]
        try:
            for cache in self._caches:
                cache.make_room(sum(not cache.has(clip) for clip in clips))
        except Unavailable as error:
            self._stop(error)

    def known(self, clip: str) -> list[Tensor] | None:
        """Read a clip's cached features, if any, for each network, as `Scorer.answer` takes them.

        Raises:
            Unavailable: the cached features are damaged; a retry computes them again.
        """
        caches = self._caches  # the writer may stop sharing meanwhile
        if not caches or not all(cache.has(clip) for cache in caches):
            return None
        return [cache.read(clip) for cache in caches]

    def score(self, clip: str, inputs: Sequence[Frames]) -> Logits:
        """Score one clip like `Scorer.score`, and cache its features in the background.

        Raises:
            BadInput: snippets do not fit their network.
        """
        features = self._scorer.see(inputs)
        self._writer.submit(self._write, clip, features)
        return self._scorer.answer(features)

    def mean(self, clip: str) -> NDArray[np.float64] | None:
        """Average a clip's features (f,), if they are cached and of one network."""
        self._writer.submit(lambda: None).result()  # whatever was to be written before is
        if len(self._caches) != 1 or not self._caches[0].has(clip):
            return None
        features: NDArray[np.float64] = self._caches[0].read(clip).flatten(0, 1).double().mean(0).numpy()
        return features

    @property
    def folder(self) -> Path | None:
        """Return the folder of the features, if they are cached and of one network."""
        return self._caches[0].folder if len(self._caches) == 1 else None

    def close(self) -> None:
        """Wait until all features are written."""
        self._writer.shutdown()

    def _write(self, clip: str, features: Sequence[Tensor]) -> None:
        try:
            for cache, own in zip(self._caches, features, strict=False):
                keep(cache, clip, own)
        except Unavailable as error:
            self._stop(error)

    def _stop(self, error: RetakeError) -> None:
        log.warning("features are not shared between networks: %s", error)
        self._caches = []


@dataclass(frozen=True)
class BetweenClips:
    """A scorer of windows between a video's clips, as `scorer` scores clips cut there.

    Shared features are computed once. All networks of `scorer` must slide.
    """

    scorer: Scorer
    grid: WindowGrid

    def note(self, num_frames: int, features: Sequence[Tensor], further: Sequence[Frames]) -> Noted:
        """Keep what windows need of one clip, for each network.

        Args:
            num_frames: of the clip.
            features: (k, t, f) of its test, as in `Scorer.see`.
            further: uint8 (n, h, w, 3), the frames that `further_frames` lists.
        """
        given = zip(self.scorer.engines, features, further, strict=True)
        return tuple(self._note(engine, num_frames, own, more) for engine, own, more in given)

    def logits(self, first: Noted, second: Noted, num_second_frames: int) -> Iterator[tuple[int, Logits]]:
        """Score windows that begin within one whole clip and end within the next.

        Yields:
            the frame of the first clip at which a window begins, and its logits.
        """
        for offset in self.grid.offsets:
            if offset <= num_second_frames:
                networks = zip(self.scorer.engines, first, second, strict=True)
                yield offset, self.scorer.answer([self._see(offset, engine, (before, after)) for engine, before, after in networks])

    def _note(self, engine: Engine, num_frames: int, features: Tensor, further: Frames) -> Own:
        spec = engine.network.spec
        numbers = further_frames(num_frames, spec, self.grid)
        if not sees_single_frames(spec):
            return dict(zip(numbers, further, strict=True))
        noted = dict(zip(frames_in_test(num_frames, spec), features.unbind(1), strict=True))
        # Engines take as many frames at once as a clip has segments; the last ones are filled up.
        for start in range(0, len(numbers), spec.num_segments):
            batch = further[start : start + spec.num_segments]
            filled = np.concatenate([batch, np.repeat(batch[-1:], spec.num_segments - len(batch), axis=0)])
            noted.update(zip(numbers[start : start + spec.num_segments], engine.see(filled).unbind(1), strict=False))
        return noted

    def _see(self, offset: int, engine: Engine, clips: tuple[Own, Own]) -> Tensor:
        """Compute the features (k, t, f) of a window."""
        spec = engine.network.spec
        seen = [clips[number][frame] for number, frame in frames_of_window(offset, spec, self.grid)]
        if sees_single_frames(spec):
            return torch.stack(seen, dim=1)
        return engine.see(snippets_in_test(np.stack(seen), spec))
