"""Shares features of test clips between networks that differ in their heads alone: such a network then scores clips in milliseconds."""

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
    """The features that one scorer's backbones compute of clips, float32 (k, t, f), by clip; averaged over crops where the heads are linear.

    Args:
        root: folder of all kept features.
        scorer: computes the ones that are missing.
        used: its engine, since another one computes slightly different features.
        num_clips: that will be scored; on a disk without room for them nothing is kept.
    """

    def __init__(self, root: Path, scorer: Scorer, used: EngineUsed, num_clips: int) -> None:
        self._scorer = scorer
        self._kept = [_kept(root, engine, used) for engine in scorer.engines]
        try:
            for kept in self._kept:
                kept.make_room(num_clips)
        except BadConfiguration as error:
            log.warning("every network computes its own features: %s", error)
            self._kept = []

    def known(self, clip_sha256: str) -> Logits | None:
        """Answer from kept features, verb (v,) and noun (n,); None where they are not there.

        Raises:
            Unavailable: they are damaged; a retry computes them again.
        """
        if not self._kept or not all(kept.has(clip_sha256) for kept in self._kept):
            return None
        return self._scorer.answer([kept.read(clip_sha256) for kept in self._kept])

    def score(self, clip_sha256: str, inputs: Sequence[Frames]) -> Logits:
        """Score one clip as `Scorer.score` does, and keep its features.

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
    followed = {"engine": used.description, "precision": used.precision, "crops": engine.num_crops, "kept": num_kept}
    return KeptFeatures(root, network, (num_kept, network.spec.num_segments), followed)
