"""Score one network on one split, for verbs, nouns and actions."""

from collections.abc import Container, Mapping, Sequence

import numpy as np
from sklearn.metrics import precision_recall_fscore_support

from tasks.judge.statistics.answers import Answers, answers_of
from tasks.judge.statistics.latency import summarise_latency
from tasks.judge.statistics.nothing import nothing_scores, with_actions
from tasks.judge.statistics.scoring import ScoredClips, Timings
from tasks.judge.statistics.uncertainty import top1_interval
from tasks.store.records.dataset import ClassRef, Vocabulary
from tasks.store.records.evaluation import ActivationMap, ClassMetrics, EngineUsed, EvaluateResult, TargetMetrics
from tasks.store.records.record import ModelRole, SplitName


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
    ids = np.unique(answers.true)
    precision, recall, f1, support = precision_recall_fscore_support(
        answers.true, answers.predicted, labels=ids, average=None, zero_division=0
    )
    num_predicted = [int((answers.predicted == class_id).sum()) for class_id in ids]
    classes = sorted(
        (
            ClassMetrics(
                name=answers.names[int(ids[i])],
                support=int(support[i]),
                num_predicted=num_predicted[i],
                precision=float(precision[i]),
                recall=float(recall[i]),
                f1=float(f1[i]),
            )
            for i in range(len(ids))
        ),
        key=lambda c: (-c.support, c.name),
    )
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
        clips: from `score_clips`.
        timings: from `score_clips`.
        vocabulary: names of the classes.
        model: the network's role.
        split: the split of `clips`.
        crops: number of crops averaged per frame.
        num_frames: frames, or flow fields, that the network sees per clip.
        predictions_uri: the predictions' address in the store.
        engine: the engine that computed the logits.
        num_parameters: of the network.
        num_flops: floating-point operations per clip with `crops`.
        peak_memory_bytes: of the process.
        hardware: the machine, as flat names and values.
        fingerprints_uri: address of the clips' fingerprints in the store, if written.
        activations: activation maps of the worst mistakes, if drawn.
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


def _unknown(answers: Answers, known: Container[int]) -> tuple[ClassRef, ...]:
    """Return the true classes that are not in `known`, by id."""
    return tuple(ClassRef(id=i, name=answers.names[i]) for i in np.unique(answers.true).tolist() if i not in known)
