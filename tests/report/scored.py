"""The scores that follow from names, counted in the plainest way."""

from collections import Counter

import numpy as np

from tasks.results.evaluation import (
    ClassMetrics,
    EngineUsed,
    EvaluateResult,
    Latency,
    PairedDifference,
    TargetMetrics,
)
from tasks.results.metrics import ClassChange, ConfusionCounts, LabelCount
from tasks.results.record import TARGETS

MACHINE = {
    "device": "cpu",
    "device_name": "AMD EPYC 9R14",
    "device_memory_bytes": 8_263_315_456,
    "cpu_name": "AMD EPYC 9R14",
    "num_cores": 2,
    "memory_bytes": 8_263_315_456,
    "python": "3.11.7",
    "version.torch": "2.13.0",
    "version.timm": "1.0.20",
}


ENGINE = EngineUsed(
    name="openvino",
    precision="bfloat16",
    description="OpenVINO on the CPU in batches of 16",
    num_checked_clips=4,
    max_difference=0.0612,
    tolerance=0.25,
    fallback_reason=None,
)


def target_metrics(true, answers, num_sources):
    support, predicted = Counter(true), Counter(answers)
    hits = Counter(t for t, a in zip(true, answers, strict=True) if t == a)
    classes = []
    for name in sorted(support, key=lambda name: (-support[name], name)):
        precision = hits[name] / predicted[name] if predicted[name] else 0.0
        recall = hits[name] / support[name]
        f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
        classes.append(
            ClassMetrics(name=name, support=support[name], num_predicted=predicted[name], precision=precision, recall=recall, f1=f1)
        )
    top1 = sum(hits.values()) / len(true)
    half = 1.2 * (max(top1 * (1 - top1), 0.03) / len(true)) ** 0.5 * 1.96
    weights = [c.support for c in classes]
    return TargetMetrics(
        num_clips=len(true),
        num_classes=len(classes),
        top1=top1,
        top1_interval=(max(0.0, top1 - half), min(1.0, top1 + half)) if num_sources > 1 else (0.0, 1.0),
        top5=min(1.0, top1 + 0.21),
        precision_weighted=float(np.average([c.precision for c in classes], weights=weights)),
        recall_weighted=top1,
        precision_macro=float(np.mean([c.precision for c in classes])),
        recall_macro=float(np.mean([c.recall for c in classes])),
        majority_class=classes[0].name,
        majority_top1=classes[0].support / len(true),
        classes=tuple(classes),
    )


def result(named, role, split):
    scores = {t: target_metrics(named.of(t), named.of(t, role), named.num_sources) for t in TARGETS}
    return EvaluateResult(
        model=role,
        split=split,
        num_clips=len(named.true),
        num_sources=named.num_sources,
        crops=10,
        loss=3.21,
        targets=named.targets,
        **scores,
        latency=Latency(
            num_clips=len(named.true),
            loading_median_seconds=0.0042,
            loading_p90_seconds=0.0131,
            inference_median_seconds=1.534,
            inference_p90_seconds=1.61,
            fps=5.2,
            clips_per_second=0.652,
        ),
        engine=ENGINE,
        num_parameters=24_485_405,
        num_flops=655_402_000_000,
        peak_memory_bytes=1_934_000_000,
        hardware=MACHINE,
        predictions_uri=f"s3://retake/runs/9f/{role}-{split}.parquet",
        fingerprints_uri=None,
        activations=(),
    )


def difference(named, target, opponent):
    true, ours, theirs = named.of(target), named.of(target, "fine-tuned"), named.of(target, opponent)
    gained = sum(o == t != b for t, o, b in zip(true, ours, theirs, strict=True))
    lost = sum(b == t != o for t, o, b in zip(true, ours, theirs, strict=True))
    found = (gained - lost) / len(true)
    half = max(2.4 * (gained + lost) ** 0.5 / len(true), 0.02)
    low, high = max(-1.0, found - half), min(1.0, found + half)
    needed = round(len(true) * (half / found) ** 2) + 1 if found and low <= 0 <= high else None
    return PairedDifference(
        target=target,
        opponent=opponent,
        num_clips=len(true),
        num_sources=named.num_sources,
        difference=found,
        interval=(low, high),
        num_gained=gained,
        num_lost=lost,
        mcnemar_p=min(1.0, 2.0 * 0.5 ** max(abs(gained - lost), 1)),
        p_value=0.5 if low <= 0 <= high else 0.01,
        num_clips_needed=needed,
    )


def class_changes(results, opponent):
    before, after = (next(r for r in results if r.model == role) for role in (opponent, "fine-tuned"))
    return tuple(
        ClassChange(
            target=t,
            name=a.name,
            support=a.support,
            recall_before=b.recall,
            recall_after=a.recall,
            precision_before=b.precision,
            precision_after=a.precision,
            f1_before=b.f1,
            f1_after=a.f1,
            is_worse=a.f1 < b.f1,
        )
        for t in before.targets
        for b, a in zip(getattr(before, t).classes, getattr(after, t).classes, strict=True)
    )


def confusion(named, role, target, most=30):
    true, answers = named.of(target), named.of(target, role)
    support = Counter(true)
    rows = sorted(support, key=lambda n: (-support[n], n))
    columns = rows + sorted(set(answers) - set(rows))

    def shown(names):
        return (*names[:most], f"{len(names) - most} others") if len(names) > most else tuple(names)

    counts = np.zeros((min(len(rows), most + 1), min(len(columns), most + 1)), np.int64)
    for t, a in zip(true, answers, strict=True):
        counts[min(rows.index(t), most), min(columns.index(a), most)] += 1
    return ConfusionCounts(model=role, target=target, rows=shown(rows), columns=shown(columns), counts=counts.tolist())


def label_counts(named, split, untaught):
    """As many clips in train as on the deciding split, but for classes that train lacks."""
    rng = np.random.default_rng(1)
    of_target = {t: Counter(named.of(t)) for t in named.targets}
    train = {t: {n: c for n, c in of_target[t].items() if n not in untaught and rng.random() < 0.95} for t in named.targets}
    return tuple(
        LabelCount(target=t, split=where, name=n, num_clips=c)
        for t in named.targets
        for where, counts in (("train", train[t]), (split, of_target[t]))
        for n, c in counts.items()
    )
