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
from tasks.model.feature_cache import FeatureCache
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
        self._caches = [_open_cache(root, engine, used) for engine in scorer.engines]
        try:
            for cache in self._caches:
                cache.make_room(num_clips)
        except BadConfiguration as error:
            log.warning("features are not shared between networks: %s", error)
            self._caches = []

    def known(self, clip_sha256: str) -> Logits | None:
        """Compute logits, verb (v,) and noun (n,), from cached features; None if they are not cached.

        Raises:
            Unavailable: the cached features are damaged; a retry computes them again.
        """
        if not self._caches or not all(cache.has(clip_sha256) for cache in self._caches):
            return None
        return self._scorer.answer([cache.read(clip_sha256) for cache in self._caches])

    def score(self, clip_sha256: str, inputs: Sequence[Frames]) -> Logits:
        """Score one clip like `Scorer.score`, and cache its features.

        Raises:
            BadInput: snippets do not fit their network.
            Unavailable: the disk is full.
        """
        features = self._scorer.see(inputs)
        for cache, one in zip(self._caches, features, strict=False):
            cache.write(clip_sha256, one if len(one) == cache.shape[0] else one.mean(dim=0, keepdim=True))
        return self._scorer.answer(features)


def _open_cache(root: Path, engine: Engine, used: EngineUsed) -> FeatureCache:
    network = engine.network
    num_views = 1 if network.head.is_linear else engine.num_crops
    key = {"engine": used.description, "precision": used.precision, "crops": engine.num_crops, "kept": num_views}
    return FeatureCache(root, network, (num_views, network.spec.num_segments), key)
