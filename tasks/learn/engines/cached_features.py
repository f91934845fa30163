"""Cache the features that engines compute of clips."""

# k: crops, t: segments, f: features

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from tasks.errors import Unavailable
from tasks.keys import flow_recipe_of
from tasks.learn.engines.engine import Engine
from tasks.learn.inputs.features import VIEWS_VERSION, FeatureCache
from tasks.learn.inputs.sound_features import sound_key
from tasks.store.records.evaluation import EngineUsed


@dataclass(frozen=True)
class CheckedFeatures:
    """Features of the clips that engines are checked on, shared by networks with other heads.

    Attributes:
        root: folder of the feature cache.
        checked: the clips of the check, by hash.
        scored: the clips to score.
        is_timed: says whether the times of an engine's features lie in a folder; without them it computes some again, to be timed.
    """

    root: Path
    checked: Sequence[str]
    scored: Collection[str]
    is_timed: Callable[[Path, Engine], bool]

    def read(self, engine: Engine, reference: Engine) -> tuple[list[Tensor], list[Tensor]] | None:
        """Read both engines' features of the checked clips, if all are cached.

        None if `engine` has any clip to compute or to time, or no check has passed.

        Raises:
            Unavailable: kept features are damaged; a retry computes them again.
        """
        caches = [open_cache(self.root, compared, compared, compared.network.head) for compared in (engine, reference)]
        if not all(caches[0].has(clip) for clip in {*self.checked, *self.scored}) or not all(map(caches[1].has, self.checked)):
            return None
        if not self.is_timed(caches[0].folder, engine):
            return None
        seen, expected = ([cache.read(clip) for clip in self.checked] for cache in caches)
        return seen, expected

    def keep(self, reference: Engine, features: Sequence[Tensor]) -> None:
        """Keep the reference's features of the checked clips, if the disk has room."""
        cache = open_cache(self.root, reference, reference, reference.network.head)
        with suppress(Unavailable):
            cache.make_room(len(features))
            for clip, own in zip(self.checked, features, strict=True):
                keep(cache, clip, own)


def keep(cache: FeatureCache, clip: str, features: Tensor) -> None:
    """Write a clip's features (k, t, f), averaged over crops for linear heads."""
    cache.write(clip, features if len(features) == cache.shape[0] else features.mean(dim=0, keepdim=True))


def open_cache(root: Path, engine: Engine, used: Engine | EngineUsed, head: nn.Module) -> FeatureCache:
    """Open the cache of an engine's features for a head; `used` describes the engine."""
    network = engine.network
    num_views = 1 if head.is_linear else engine.num_crops
    key = {
        "engine": used.description,
        "precision": used.precision,
        "crops": engine.num_crops,
        "kept": num_views,
        "views": VIEWS_VERSION,
        "computed_flow": flow_recipe_of(network.spec.flow) if network.spec.flow else None,
    }
    if network.spec.sound:
        key["sound"] = sound_key()
    return FeatureCache(root, network, (num_views, network.spec.num_segments), key)
