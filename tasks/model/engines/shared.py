"""Share cached features of test clips between networks that differ only in their heads."""

# k: crops, t: segments, h, w: pixels, p: 8-bit planes of a snippet, f: features, v: verbs, n: nouns

import logging
from collections.abc import Sequence
from pathlib import Path

from tasks.errors import BadConfiguration
from tasks.model.consensus import Logits
from tasks.model.crops import Frames
from tasks.model.engines.engine import Engine
from tasks.model.engines.scorer import Scorer
from tasks.model.kept import KeptFeatures
from tasks.results.evaluation import EngineUsed

log = logging.getLogger(__name__)


class SharedFeatures:
    """Cache of a scorer's features per clip, float32 (k, t, f).

    The features are averaged over crops if the heads are linear.

    Args:
        root: folder of the feature cache.
        scorer: computes missing features.
        used: its engine, part of the cache key because engines compute slightly different features.
        num_clips: number of clips to score; nothing is cached if the disk has no room for them.
    """

    def __init__(self, root: Path, scorer: Scorer, used: EngineUsed, num_clips: int) -> None:
        self._scorer = scorer
        self._kept = [_kept(root, engine, used) for engine in scorer.engines]
        try:
            for kept in self._kept:
                kept.make_room(num_clips)
        except BadConfiguration as error:
            log.warning("features are not shared between networks: %s", error)
            self._kept = []

    def known(self, clip_sha256: str) -> Logits | None:
        """Compute logits, verb (v,) and noun (n,), from cached features; None if they are not cached.

        Raises:
            Unavailable: the cached features are damaged; a retry computes them again.
        """
        if not self._kept or not all(kept.has(clip_sha256) for kept in self._kept):
            return None
        return self._scorer.answer([kept.read(clip_sha256) for kept in self._kept])

    def score(self, clip_sha256: str, inputs: Sequence[Frames]) -> Logits:
        """Score one clip like `Scorer.score`, and cache its features.

        Raises:
            BadInput: snippets do not fit their network.
            Unavailable: the disk is full.
        """
        features = self._scorer.see(inputs)
        for kept, one in zip(self._kept, features, strict=False):
            kept.write(clip_sha256, one if len(one) == kept.shape[0] else one.mean(dim=0, keepdim=True))
        return self._scorer.answer(features)


def _kept(root: Path, engine: Engine, used: EngineUsed) -> KeptFeatures:
    network = engine.network
    num_kept = 1 if network.head.is_linear else engine.num_crops
    key = {"engine": used.description, "precision": used.precision, "crops": engine.num_crops, "kept": num_kept}
    return KeptFeatures(root, network, (num_kept, network.spec.num_segments), key)
