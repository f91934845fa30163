"""Make the networks of a prediction ready to score."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.data.clips.frame_cache import cache_test_frames
from tasks.data.clips.stored_clips import StoredClip
from tasks.errors import BadInput, BadVideo
from tasks.judge.statistics.scoring import Logits, one_hot_logits
from tasks.learn.engines.choice import NUM_CHECKED_CLIPS, ScoringJob, Wanted, spread, trained_classes
from tasks.learn.engines.scorer import Scorer, make_scorer
from tasks.learn.hardware import choose_device
from tasks.learn.inputs.crops import NumCrops
from tasks.learn.inputs.snippets import read_tested
from tasks.learn.networks.heads import Logits as ModelLogits
from tasks.learn.networks.spec import NetworkSpec
from tasks.pipeline._checkpoints import fetch_network
from tasks.pipeline._results import log
from tasks.settings import MachineSettings, load
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetClip
from tasks.store.records.evaluation import EngineUsed
from tasks.store.records.prediction import Predictor

MAX_TRIED_CLIPS = 32
"""Maximum clips tried to replace those that do not decode."""

Frames = NDArray[np.uint8]


class NothingToCheck(BadVideo):
    """No clip decodes that an engine could be checked on."""


@dataclass(frozen=True)
class Ready:
    """One checkpoint on its engine; it takes snippets of each of `specs`.

    `given_noun` has the noun logits (n,) of every clip, certain of "no object", if the network was trained on verbs alone; else None.
    """

    scorer: Scorer
    specs: tuple[NetworkSpec, ...]
    used: EngineUsed
    given_noun: Logits | None

    def named(self, logits: ModelLogits) -> tuple[Logits, Logits]:
        """Convert logits to arrays, verb (v,) and noun (n,), which may be given."""
        return logits.verb.numpy(), logits.noun.numpy() if self.given_noun is None else self.given_noun


def make_ready(
    predictor: Predictor,
    clips: Sequence[StoredClip],
    trained_on: Sequence[DatasetClip],
    *,
    wanted: Wanted,
    num_crops: NumCrops,
    store: Store,
    frames: Path,
) -> Ready:
    """Fetch a network and choose its engine, which is checked on clips that decode.

    If none decodes, the engine is PyTorch.

    Args:
        clips: to score.
        trained_on: training clips; the engine is checked for their classes.
        frames: for the decoded frames of a few clips.

    Raises:
        MissingObject: the checkpoint is gone.
        BadCheckpoint: its hash is not the recorded one.
        BadConfiguration: the engine is not available here.
    """
    saved = fetch_network(store, predictor.checkpoint_uri, predictor.checkpoint_sha256)
    specs = tuple(network.spec for network in saved.networks)

    def job(spec: NetworkSpec) -> ScoringJob:
        def checked() -> list[Frames]:
            if decoded := _decoded(clips, spec, store, frames):
                return decoded
            raise NothingToCheck("no clip decodes that the engine could be checked on")

        return ScoringJob(
            device=choose_device(load(MachineSettings).device),
            num_clips=len(clips),
            num_crops=num_crops,
            checked=checked,
            trained=trained_classes(trained_on),
        )

    jobs = [job(spec) for spec in specs]
    try:
        scorer, used = make_scorer(saved, wanted, jobs)
    except NothingToCheck as error:
        log.warning("scoring by PyTorch: %s", error)
        scorer, used = make_scorer(saved, "pytorch", jobs)
        used = used.model_copy(update={"fallback_reason": str(error)})
    noun = saved.classes.given_noun
    return Ready(scorer, specs, used, None if noun is None else one_hot_logits(np.array([noun]), len(saved.classes.nouns))[0])


def _decoded(clips: Sequence[StoredClip], spec: NetworkSpec, store: Store, root: Path) -> list[Frames]:
    """Load snippets of evenly spaced clips; replace clips that do not decode."""
    few = spread(clips, NUM_CHECKED_CLIPS)
    try:
        paths = cache_test_frames(store, few, spec, root)
        return [read_tested(paths[clip.uid], spec) for clip in few]
    except BadInput as error:
        log.warning("looking for other clips to check an engine on: %s", error)
    decoded: list[Frames] = []
    for clip in {clip.uid: clip for clip in (*few, *spread(clips, MAX_TRIED_CLIPS))}.values():
        try:
            decoded.append(read_tested(cache_test_frames(store, [clip], spec, root)[clip.uid], spec))
        except BadInput as error:
            log.warning("not checked on: %s", error)
        if len(decoded) == NUM_CHECKED_CLIPS:
            break
    return decoded
