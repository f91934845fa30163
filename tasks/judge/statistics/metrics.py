"""Score networks on one split, by target and class, and each class against another network's.

Legend: n clips.
"""

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import binomtest

from tasks.errors import BadInput
from tasks.judge.statistics.answers import Answers, answers_of, rank
from tasks.judge.statistics.paired import Opponent, differences
from tasks.judge.statistics.scoring import ScoredClips, Timings, summarise_latency
from tasks.judge.statistics.uncertainty import significant, top1_interval
from tasks.store.records.dataset import NO_OBJECT, ClassRef, UnseenClip, Vocabulary
from tasks.store.records.evaluation import (
    ActivationMap,
    ClassMetrics,
    EngineUsed,
    EvaluateResult,
    NameableClips,
    NetworkScore,
    NothingScores,
    PairedDifference,
    TargetMetrics,
    UnnamedClips,
)
from tasks.store.records.metrics import ClassChange, ClosedSet
from tasks.store.records.record import ModelRole, SplitName, Target

OPPONENTS: tuple[Opponent, ...] = ("baseline", "previous", "champion")


def measure(answers: Answers, sources: Sequence[str]) -> TargetMetrics:
    """Compute the metrics of one target.

    Precision, recall and F1 are scikit-learn's with `zero_division=0`. The weighted averages, which the original experiment called "average class",
    weight each class by its support; weighted recall is therefore top-1. The macro averages, `num_classes` and `classes` (most frequent first)
    cover the classes that are true for at least one clip: a class that is only predicted has no recall, and a guessing network predicts thousands.
    The majority class is the most frequent label of this split (ties go to the first by name), as if the labels were known.

    Args:
        answers: true and predicted classes of n clips, n at least 1.
        sources: (n,) the source video of each clip.
    """
    from sklearn.metrics import precision_recall_fscore_support  # imported late: the plan of a training measures nothing

    ids = np.unique(answers.true)
    precision, recall, f1, support = precision_recall_fscore_support(
        answers.true, answers.predicted, labels=ids, average=None, zero_division=0
    )
    classes = [
        ClassMetrics(
            name=answers.names[class_id],
            support=int(support[i]),
            num_predicted=int((answers.predicted == class_id).sum()),
            precision=float(precision[i]),
            recall=float(recall[i]),
            f1=float(f1[i]),
        )
        for i, class_id in enumerate(ids.tolist())
    ]
    classes.sort(key=lambda c: (-c.support, c.name))
    majority = classes[0]
    num_clips = len(answers.true)
    return TargetMetrics(
        num_clips=num_clips,
        num_classes=len(classes),
        top1=float(answers.right.mean()),
        top1_interval=top1_interval(answers.right, sources),
        top5=float((answers.ranked == answers.true[:, None]).any(axis=1).mean()),
        precision_weighted=float(np.average(precision, weights=support)),
        recall_weighted=float(np.average(recall, weights=support)),
        precision_macro=float(precision.mean()),
        recall_macro=float(recall.mean()),
        majority_class=majority.name,
        majority_top1=majority.support / num_clips,
        classes=tuple(classes),
    )


def summarise(
    clips: ScoredClips,
    timings: Timings,
    vocabulary: Vocabulary,
    *,
    model: ModelRole,
    split: SplitName,
    crops: int,
    num_frames: int,
    predictions_uri: str,
    engine: EngineUsed,
    num_parameters: int,
    num_flops: int,
    peak_memory_bytes: int,
    hardware: Mapping[str, str | int],
    fingerprints_uri: str | None = None,
    activations: Sequence[ActivationMap] = (),
    known_verbs: Container[int] | None = None,
    known_nouns: Container[int] | None = None,
) -> EvaluateResult:
    """Combine all results of one network on one split.

    Clips in which nothing happens count in a row of their own alone.

    Args:
        num_frames: frames, or flow fields, that the network sees per clip.
        num_flops: floating-point operations per clip with `crops`.
        known_verbs, known_nouns: class ids that the network can predict; None means all of its outputs.
    """
    nothing = nothing_scores(clips, vocabulary)
    clips = with_actions(clips, vocabulary)
    answers = answers_of(clips, vocabulary)
    verb, noun, action = (measure(answers[target], clips.sources) for target in ("verb", "noun", "action"))
    return EvaluateResult(
        model=model,
        split=split,
        num_clips=len(clips.uids),
        num_sources=len(set(clips.sources)),
        crops=crops,
        loss=float(clips.losses[clips.has_outputs].mean()) if clips.has_outputs.any() else None,
        targets=vocabulary.targets,
        verb=verb,
        noun=noun,
        action=action,
        latency=summarise_latency(timings, num_frames=num_frames),
        engine=engine,
        num_parameters=num_parameters,
        num_flops=num_flops,
        peak_memory_bytes=peak_memory_bytes,
        hardware=dict(hardware),
        predictions_uri=predictions_uri,
        fingerprints_uri=fingerprints_uri,
        activations=tuple(activations),
        unknown_verbs=_unknown(answers["verb"], range(clips.verb_logits.shape[1]) if known_verbs is None else known_verbs),
        # Without objects in the labels, nouns are not a target.
        unknown_nouns=()
        if not vocabulary.has_objects
        else _unknown(answers["noun"], range(clips.noun_logits.shape[1]) if known_nouns is None else known_nouns),
        nothing=nothing,
    )


def closed_set(clips: ScoredClips, unseen: Sequence[UnseenClip], vocabulary: Vocabulary) -> ClosedSet | None:
    """Score actions, counting clips left out for their action as wrong; None without any."""
    if not unseen:
        return None
    right = np.append(answers_of(clips, vocabulary)["action"].right, [False] * len(unseen))
    return ClosedSet(
        num_clips=len(unseen),
        num_actions=len({clip.action for clip in unseen}),
        top1=float(right.mean()),
        top1_interval=top1_interval(right, [*clips.sources, *(clip.source for clip in unseen)]),
    )


def _unknown(answers: Answers, known: Container[int]) -> tuple[ClassRef, ...]:
    """Return the true classes that are not in `known`, by id."""
    return tuple(ClassRef(id=i, name=answers.names[i]) for i in np.unique(answers.true).tolist() if i not in known)


def with_actions(clips: ScoredClips, vocabulary: Vocabulary) -> ScoredClips:
    """Select the clips with an action; a frequent, easy class `nothing` would raise the scores."""
    return clips if vocabulary.nothing_verb is None else clips.only(clips.verb_classes != vocabulary.nothing_verb)


def nothing_scores(clips: ScoredClips, vocabulary: Vocabulary) -> NothingScores | None:
    """Measure how often `nothing` is rightly and wrongly the best verb; None without such labels.

    Args:
        clips: all clips of a split; at least one has an action.
    """
    if vocabulary.nothing_verb is None:
        return None
    sources = np.asarray(clips.sources)
    says_nothing = rank(clips.verb_logits, 1)[:, 0] == vocabulary.nothing_verb
    is_nothing = clips.verb_classes == vocabulary.nothing_verb
    recognised, alarms = says_nothing[is_nothing], says_nothing[~is_nothing]
    return NothingScores(
        num_clips=len(recognised),
        num_sources=len(np.unique(sources[is_nothing])),
        num_recognised=int(recognised.sum()),
        recall=float(recognised.mean()) if len(recognised) else None,
        recall_interval=top1_interval(recognised, sources[is_nothing].tolist()) if len(recognised) else None,
        num_action_clips=len(alarms),
        num_false_alarms=int(alarms.sum()),
        false_alarms=float(alarms.mean()),
        false_alarms_interval=top1_interval(alarms, sources[~is_nothing].tolist()),
    )


def nameable_clips(
    results: Sequence[EvaluateResult], scored: Mapping[ModelRole, ScoredClips], vocabulary: Vocabulary, *, num_resamples: int = 2000
) -> NameableClips | None:
    """Compare the networks on clips that all can name; None if that is every clip.

    Raises:
        BadInput: the networks were not scored on the same clips.
    """
    can_name = {result.model: _can_name(scored[result.model], result) for result in results}
    unnamed = tuple(
        UnnamedClips(
            model=result.model,
            num_clips=int((~can_name[result.model]).sum()),
            classes=(
                *(f"verb {verb.name}" for verb in result.unknown_verbs),
                *("no object" if noun.name == NO_OBJECT else f"noun {noun.name}" for noun in result.unknown_nouns),
            ),
        )
        for result in results
        if not can_name[result.model].all()
    )
    if not unnamed:
        return None
    by_all = np.logical_and.reduce(list(can_name.values()))
    left = {model: clips.only(by_all) for model, clips in scored.items()}
    sources = left["fine-tuned"].sources
    scores: list[NetworkScore] = []
    gains: tuple[PairedDifference, ...] = ()
    if sources:
        for model in can_name:
            answers = answers_of(left[model], vocabulary)
            for target in vocabulary.targets:
                right = answers[target].right
                scores.append(
                    NetworkScore(model=model, target=target, top1=float(right.mean()), top1_interval=top1_interval(right, sources))
                )
        opponents: dict[Opponent, ScoredClips] = {model: left[model] for model in OPPONENTS if model in left}
        gains = differences(left["fine-tuned"], opponents, vocabulary, num_resamples=num_resamples)
    return NameableClips(
        split=results[0].split,
        num_all_clips=results[0].num_clips,
        num_clips=len(sources),
        num_sources=len(set(sources)),
        unnamed=unnamed,
        scores=tuple(scores),
        differences=gains,
    )


def _can_name(clips: ScoredClips, result: EvaluateResult) -> NDArray[np.bool_]:
    """Check for each clip (n,) whether the network can name its verb and noun."""
    verbs, nouns = ([ref.id for ref in unknown] for unknown in (result.unknown_verbs, result.unknown_nouns))
    return ~(np.isin(clips.verb_classes, verbs) | np.isin(clips.noun_classes, nouns))


@dataclass(frozen=True)
class ClassOutcome:
    """One verb or noun; gained (lost) clips are right only with our network (the opponent)."""

    target: Target
    name: str
    num_clips: int
    num_gained: int
    num_lost: int

    @property
    def num_fewer(self) -> int:
        """Return the net number of lost clips."""
        return self.num_lost - self.num_gained

    @property
    def p_of_loss(self) -> float:
        """Compute the p-value of McNemar's exact one-sided test for a loss."""
        num_differing = self.num_lost + self.num_gained
        return float(binomtest(self.num_lost, num_differing, alternative="greater").pvalue) if num_differing else 1.0


def class_outcomes(ours: ScoredClips, theirs: ScoredClips, vocabulary: Vocabulary) -> tuple[ClassOutcome, ...]:
    """Count gained and lost clips per verb and noun, without objects per verb.

    Raises:
        BadInput: the two networks were scored on different clips.
    """
    if ours.uids != theirs.uids:
        raise BadInput("the networks were not scored on the same clips; run `evaluate` again for both")
    our_answers, their_answers = answers_of(ours, vocabulary), answers_of(theirs, vocabulary)
    outcomes = []
    for target in (target for target in vocabulary.targets if target != "action"):
        our, their = our_answers[target], their_answers[target]
        for class_id in np.unique(our.true).tolist():
            of_class = our.true == class_id
            gained = int((our.right & ~their.right & of_class).sum())
            lost = int((their.right & ~our.right & of_class).sum())
            outcomes.append(ClassOutcome(target, our.names[class_id], int(of_class.sum()), gained, lost))
    return tuple(outcomes)


def significant_losses(outcomes: Sequence[ClassOutcome]) -> list[ClassOutcome]:
    """Return the classes with a significant loss, corrected for the number of `outcomes`."""
    min_p_values = [0.5 ** (outcome.num_lost + outcome.num_gained) for outcome in outcomes]
    is_significant = significant([outcome.p_of_loss for outcome in outcomes], min_p_values)
    return [outcome for outcome, keep in zip(outcomes, is_significant, strict=True) if keep]


def class_changes(ours: EvaluateResult, theirs: EvaluateResult) -> tuple[ClassChange, ...]:
    """Compare precision, recall and F1 of each class, the most frequent of a target first.

    Raises:
        BadInput: the two networks were scored on clips of different classes.
    """
    changes = []
    for target in ours.targets:
        our_classes, their_classes = getattr(ours, target).classes, getattr(theirs, target).classes
        if [(c.name, c.support) for c in our_classes] != [(c.name, c.support) for c in their_classes]:
            raise BadInput(f"the networks were scored on clips of different {target}s; run `evaluate` again for both on the same dataset")
        changes += [
            ClassChange(
                target=target,
                name=after.name,
                support=after.support,
                recall_before=before.recall,
                recall_after=after.recall,
                precision_before=before.precision,
                precision_after=after.precision,
                f1_before=before.f1,
                f1_after=after.f1,
                is_worse=after.f1 < before.f1,
            )
            for after, before in zip(our_classes, their_classes, strict=True)
        ]
    return tuple(changes)
