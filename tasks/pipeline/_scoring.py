"""Score clips with a network that is ready, from cached features where there are some.

One engine scores all networks of a plan: if a network fails the check of a fast engine, the more exact engine that scores it
scores the others, too.
"""

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from tasks.data.clips.frame_cache import FramesAhead, load_few
from tasks.judge.statistics.metrics import summarise
from tasks.judge.statistics.scoring import Logits, ScoredClips, Timings, score_clips, with_nouns_given
from tasks.keys import content_key
from tasks.learn.engines.cached_features import CheckedFeatures
from tasks.learn.engines.choice import KINDS_IN_FLOAT32, NUM_CHECKED_CLIPS, Kind, ScoringJob, Wanted, common_label, spread, trained_classes
from tasks.learn.engines.engine import Engine
from tasks.learn.engines.scorer import Scorer, SharedFeatures, make_scorer
from tasks.learn.hardware import choose_device, describe
from tasks.learn.inputs.crops import Frames, NumCrops
from tasks.learn.inputs.features import PARTIAL
from tasks.learn.inputs.snippets import is_silent
from tasks.learn.networks.checkpoints import Saved
from tasks.learn.networks.spec import ClassNames, NetworkSpec
from tasks.learn.training.costs import Complexity, complexity
from tasks.pipeline._results import log
from tasks.settings import MachineSettings, load
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetClip, Vocabulary
from tasks.store.records.evaluation import ActivationMap, EngineUsed, EvaluateResult, LabelAudit
from tasks.store.records.record import ROLES_IN_WORDS, ModelRole, SplitName
from tasks.store.records.training import Evaluation, PlanResult
from tasks.wording import listed, some


@dataclass(frozen=True)
class Choice:
    """The engine to score a network by; `reason` names the other networks that decided it."""

    engine: Wanted | Kind
    reason: str | None = None

    def noted(self, used: EngineUsed) -> EngineUsed:
        """Add the reason to those why a faster engine was not used."""
        reasons = list(filter(None, (self.reason, used.fallback_reason)))
        return used.model_copy(update={"fallback_reason": "; ".join(reasons) or None})


@dataclass(frozen=True)
class Scoring:
    """Evaluations of one network to make, its plan, and by which engine."""

    plan: PlanResult
    evaluations: list[Evaluation]
    choice: Choice


def next_scoring(plans: Sequence[PlanResult], used: Mapping[Evaluation, EngineUsed]) -> Scoring | None:
    """Find the next network without a result, else one on a coarser engine than another.

    The previous version decides nothing, so no other network follows it. Heads on features of sound run alike in every engine.

    Args:
        plans: those of a recipe's seeds.
        used: the engines of the results that there are.
    """
    wanted = plans[0].evaluate.engine
    deciding = {
        evaluation: engine
        for evaluation, engine in used.items()
        if wanted == "auto" and evaluation.model != "previous" and engine.has_backbone
    }
    labels = {engine.label for engine in deciding.values()}
    planned = [(plan, evaluation) for plan in plans for evaluation in plan.evaluations]
    left = [(plan, evaluation) for plan, evaluation in planned if evaluation not in used]
    behind = left or [
        (plan, evaluation) for plan, evaluation in planned if evaluation in deciding and deciding[evaluation].label != common_label(labels)
    ]
    if not behind:
        return None
    follows = len(labels) > 1 or any(engine.fallback_reason for engine in deciding.values())
    choice = (
        common_choice([(ROLES_IN_WORDS[evaluation.model], engine) for evaluation, engine in deciding.items()])
        if follows
        else Choice(wanted)
    )
    next_plan, first = behind[0]
    return Scoring(next_plan, [evaluation for plan, evaluation in behind if plan is next_plan and evaluation.model == first.model], choice)


def common_choice(used: Sequence[tuple[str, EngineUsed]]) -> Choice:
    """Choose the engine that all these networks can use, with the reason in words."""
    kind = KINDS_IN_FLOAT32.get(common_label({engine.label for _, engine in used}))
    if kind is None:
        return Choice("auto")
    by = dict.fromkeys(f"{network} by {engine.label}" for network, engine in used)
    return Choice(kind, f"one engine scores all networks of a run: {listed(list(by))} so far")


TIMES = TypeAdapter(Timings)
TIMES_ARE_KEPT_SECONDS = 7 * 24 * 3600
"""Other work may have slowed the machine when they were measured."""


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
        if any(is_silent(frames, spec) for frames, spec in zip(inputs, self.specs, strict=True)):
            self.unheard.add(clip.uid)
        logits = self.shared.score(clip.sha256, inputs) if self.shared else self.scorer.score(inputs)
        return logits.numpy()

    def known(self, clip: DatasetClip) -> tuple[Logits, Logits] | None:
        """Return logits from cached features, or None."""
        features = self.shared.known(clip.sha256) if self.shared else None
        if features is None:
            return None
        if self.scorer.is_silent(features):
            self.unheard.add(clip.uid)
        return self.scorer.answer(features).numpy()

    def own_crops(self, num_crops: NumCrops) -> int:
        """Return the crops of its networks if these are asked for."""
        return max(spec.num_crops(num_crops) for spec in self.specs)

    def unheard_among(self, uids: Sequence[str]) -> tuple[str, ...]:
        """List the scored clips in which there is nothing to hear; log them."""
        unheard = tuple(uid for uid in uids if uid in self.unheard)
        if unheard:
            log.warning("%d of %d clips have nothing to hear: %s", len(unheard), len(uids), some(unheard))
        return unheard

    def score_all(
        self, clips: Sequence[DatasetClip], ahead: FramesAhead, vocabulary: Vocabulary, by: str = ""
    ) -> tuple[ScoredClips, Timings]:
        """Score clips in order, and give the nouns that the network cannot predict."""
        folder = self.shared.folder if self.shared else None
        times = _times_file(folder, clips, self.hardware) if folder else None
        measured = _read_times(times) if times else None
        scored, timings = score_clips(
            clips,
            lambda clip: (clip, ahead.load(clip)),
            lambda loaded: self.score(*loaded),
            known=self.known,
            wait=ahead.wait,
            by=by,
            measured=measured,
        )
        if times and timings is not measured:
            with suppress(OSError):  # a full disk
                partial = times.with_name(f"{times.name}.{os.getpid()}{PARTIAL}")
                partial.write_bytes(TIMES.dump_json(timings))
                partial.replace(times)
        return with_nouns_given(scored, vocabulary, self.classes.given_noun), timings

    def score_alone(
        self,
        clips: Sequence[DatasetClip],
        vocabulary: Vocabulary,
        store: Store,
        *,
        model: ModelRole,
        split: SplitName,
        crops: NumCrops,
        uri: str,
    ) -> tuple[ScoredClips, EvaluateResult]:
        """Score clips that no other network is scored on here; the predictions are for `uri`."""
        with FramesAhead(store, clips, self.specs) as ahead:
            scored, timings = self.score_all(clips, ahead, vocabulary)
        self.close()
        peak = timings.peak_memory_bytes
        result = self.summary(
            scored, timings, vocabulary, model=model, split=split, crops=crops, predictions_uri=uri, peak_memory_bytes=peak
        )
        return scored, result

    def summary(
        self,
        scored: ScoredClips,
        timings: Timings,
        vocabulary: Vocabulary,
        *,
        model: ModelRole,
        split: SplitName,
        crops: NumCrops,
        predictions_uri: str,
        peak_memory_bytes: int,
        fingerprints_uri: str | None = None,
        activations: Sequence[ActivationMap] = (),
        audit: LabelAudit | None = None,
    ) -> EvaluateResult:
        """Combine the answers of `score_all` with the facts of the network; see `summarise`."""
        result = summarise(
            scored,
            timings,
            vocabulary,
            model=model,
            split=split,
            crops=crops,
            num_frames=sum(spec.num_frames for spec in self.specs),
            predictions_uri=predictions_uri,
            engine=self.engine,
            num_parameters=self.complexity.num_parameters,
            num_flops=self.complexity.num_flops,
            peak_memory_bytes=peak_memory_bytes,
            hardware=self.hardware,
            fingerprints_uri=fingerprints_uri,
            activations=activations,
            known_verbs=self.classes.known_verbs,
            known_nouns=self.classes.known_nouns,
        )
        own = {"own_crops": self.own_crops(crops), "unheard": self.unheard_among(scored.uids), "audit": audit}
        return result.model_copy(update=own)

    def close(self) -> None:
        """Wait until its features are cached."""
        if self.shared:
            self.shared.close()


def _read_times(path: Path) -> Timings | None:
    try:
        is_recent = time.time() - path.stat().st_mtime < TIMES_ARE_KEPT_SECONDS
        return TIMES.validate_json(path.read_bytes()) if is_recent else None
    except (OSError, ValidationError):  # not measured yet, or damaged
        return None


def _times_file(folder: Path, clips: Sequence[DatasetClip], hardware: Mapping[str, str | int]) -> Path:
    """Find the file, beside the features, of the times of computing them on this hardware."""
    return folder / f"{content_key({'clips': [clip.sha256 for clip in clips], **hardware})}.times.json"


def _hardware(engine: Engine) -> dict[str, str | int]:
    return describe("cuda" if next(engine.network.parameters()).is_cuda else "cpu").flat()


def make_ready(
    saved: Saved,
    choice: Choice,
    crops: NumCrops,
    scored: Sequence[Sequence[DatasetClip]],
    trained_on: Sequence[DatasetClip],
    *,
    checked_on: Sequence[DatasetClip],
    shares_features: bool,
    store: Store,
) -> Ready:
    """Choose the engine of a network.

    Args:
        saved: the checkpoint; its networks are modified and kept.
        scored: clips to score, those of a split together.
        trained_on: training clips; the engine is checked for their classes.
        checked_on: scored by this kind of engine, by all networks; it is checked on a few of them.
        shares_features: whether networks with the same backbone have its features in common; none have whose backbones were trained.
    """
    specs = [network.spec for network in saved.networks]
    root = load(MachineSettings).cache_dir / "features"
    checked = spread(checked_on, NUM_CHECKED_CLIPS)
    shas = [clip.sha256 for clips in scored for clip in clips]
    kept = None
    if shares_features and len(specs) == 1:
        kept = CheckedFeatures(
            root,
            [clip.sha256 for clip in checked],
            shas,
            lambda features, engine: all(_read_times(_times_file(features, clips, _hardware(engine))) for clips in scored),
        )

    def job(spec: NetworkSpec) -> ScoringJob:
        return ScoringJob(
            device=choose_device(load(MachineSettings).device),
            num_clips=len(checked_on),
            num_crops=crops,
            checked=lambda: load_few(store, checked, spec),
            trained=trained_classes(trained_on),
            kept=kept,
        )

    scorer, used = make_scorer(saved, choice.engine, [job(spec) for spec in specs])
    shared = SharedFeatures(root, scorer, used, shas) if shares_features else None
    return Ready(
        scorer,
        specs,
        saved.classes,
        choice.noted(used),
        complexity(specs, crops, saved.joint.spec if saved.joint else None),
        _hardware(scorer.engines[0]),
        shared,
    )
