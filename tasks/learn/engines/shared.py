"""Share cached features of test clips between networks that differ only in their heads."""

# k: crops, t: segments, h, w: pixels, p: 8-bit planes of a snippet, f: features, v: verbs, n: nouns

import logging
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tasks.errors import RetakeError, Unavailable
from tasks.learn.engines.kept import keep, open_cache
from tasks.learn.engines.scorer import Scorer
from tasks.learn.inputs.crops import Frames
from tasks.learn.networks.heads import Logits
from tasks.store.records.evaluation import EngineUsed

log = logging.getLogger(__name__)


class SharedFeatures:
    """Cache of a scorer's features per clip, float32 (k, t, f), averaged over crops if the heads are linear.

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
        """Read the cached features of a clip for each network, as `Scorer.answer` takes them; None if there are none.

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
        """Average the cached features (f,) of a clip; None if they are not cached, or of several networks."""
        self._writer.submit(lambda: None).result()  # whatever was to be written before is
        if len(self._caches) != 1 or not self._caches[0].has(clip):
            return None
        features: NDArray[np.float64] = self._caches[0].read(clip).flatten(0, -2).double().mean(0).numpy()
        return features

    @property
    def folder(self) -> Path | None:
        """Return the folder of the features, if they are kept, and of one network."""
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


def is_shareable(used: EngineUsed) -> bool:
    """Check whether features depend on the clip alone; int8 also depends on the calibration clips."""
    return used.precision != "int8"
