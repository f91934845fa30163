"""Score clips with a network that is ready, from cached features where there are some."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from tasks.evaluation.scoring import Logits
from tasks.model.class_names import ClassNames
from tasks.model.complexity import Complexity
from tasks.model.crops import Frames, NumCrops
from tasks.model.engines.scorer import Scorer
from tasks.model.engines.shared import SharedFeatures
from tasks.model.hearing import is_unheard
from tasks.model.spec import NetworkSpec
from tasks.results.dataset import DatasetClip
from tasks.results.evaluation import EngineUsed
from tasks.steps._step import log
from tasks.wording import some


@dataclass(frozen=True)
class Ready:
    """A network ready to score, and the facts that all of its results record.

    `unheard` collects the scored clips in which one of its networks has nothing to hear, by uid.
    """

    scorer: Scorer
    specs: Sequence[NetworkSpec]
    classes: ClassNames
    engine: EngineUsed
    complexity: Complexity
    hardware: dict[str, str | int]
    shared: SharedFeatures | None
    unheard: set[str] = field(default_factory=set)

    def score(self, clip: DatasetClip, inputs: Sequence[Frames]) -> tuple[Logits, Logits]:
        """Score one clip: logits, verb (v,) and noun (n,)."""
        if any(is_unheard(frames, spec) for frames, spec in zip(inputs, self.specs, strict=True)):
            self.unheard.add(clip.uid)
        logits = self.shared.score(clip.sha256, inputs) if self.shared else self.scorer.score(inputs)
        return logits.numpy()

    def known(self, clip: DatasetClip) -> tuple[Logits, Logits] | None:
        """Return logits from cached features, or None."""
        features = self.shared.known(clip.sha256) if self.shared else None
        if features is None:
            return None
        if self.scorer.hears_nothing(features):
            self.unheard.add(clip.uid)
        return self.scorer.answer(features).numpy()

    def own_crops(self, num_crops: NumCrops) -> int:
        """Return the crops of its networks if these are asked for."""
        return max(spec.num_crops(num_crops) for spec in self.specs)

    def unheard_among(self, clips: Sequence[DatasetClip]) -> tuple[str, ...]:
        """List the scored clips in which there is nothing to hear, by uid; log them."""
        unheard = tuple(clip.uid for clip in clips if clip.uid in self.unheard)
        if unheard:
            log.warning("%d of %d clips have nothing to hear: %s", len(unheard), len(clips), some(unheard))
        return unheard
