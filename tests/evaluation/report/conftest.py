"""Realistic numbers of a run, made from answers drawn by seed or from the original experiment's own."""

import csv
import io
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tasks.evaluation.confusion import Confusion
from tasks.evaluation.report.inputs import ReportInputs
from tasks.evaluation.report.sheets import contact_sheet
from tasks.evaluation.verdict import verdict_on
from tasks.options import EvaluateOptions, GateOptions, TrainOptions
from tasks.results.evaluation import (
    ActivationMap,
    ClassMetrics,
    EngineUsed,
    EvaluateResult,
    Latency,
    PairedDifference,
    RuleOutcome,
    TargetMetrics,
)
from tasks.results.metrics import (
    Calibration,
    ClassChange,
    DataChecks,
    LabelConflict,
    Metrics,
    Mistake,
    NearDuplicate,
    Provenance,
    ReliabilityBin,
    SplitSize,
)
from tasks.results.training import Epoch

TARGETS = ("verb", "noun", "action")
ORIGINAL_CSV = Path(__file__).parents[1] / "original_val_predictions.csv"
ENGINE = EngineUsed(
    name="openvino",
    precision="bfloat16",
    description="OpenVINO on the CPU in batches of 16",
    num_checked_clips=4,
    max_difference=0.0612,
    tolerance=0.25,
    fallback_reason=None,
)


@dataclass(frozen=True)
class Named:
    """True names and each network's answers, clip by clip, as (verb, noun)."""

    true: list[tuple[str, str]]
    answers: dict[str, list[tuple[str, str]]]
    num_sources: int = 3

    def of(self, target, role=None):
        pairs = self.true if role is None else self.answers[role]
        return [{"verb": v, "noun": n, "action": f"{v} {n}"}[target] for v, n in pairs]


def original():
    rows = list(csv.DictReader(io.StringIO(ORIGINAL_CSV.read_text())))
    return Named(
        [(r["verb"], r["noun"]) for r in rows],
        {
            "baseline": [(r["baseline_verb"], r["baseline_noun"]) for r in rows],
            "fine-tuned": [(r["tuned_verb"], r["tuned_noun"]) for r in rows],
        },
    )


def drawn(num_clips=400, num_verbs=12, num_nouns=40, skills=None, names=lambda kind, i: f"{kind} {i}", seed=0):
    skills = skills or {"baseline": 0.35, "champion": 0.55, "fine-tuned": 0.72}
    rng = np.random.default_rng(seed)

    def pick(kind, number):
        return names(kind, min(int(rng.exponential(number / 4)), number - 1))

    true = [(pick("verb", num_verbs), pick("noun", num_nouns)) for _ in range(num_clips)]

    def answer(pair, skill):
        verb, noun = pair
        return (verb if rng.random() < skill else pick("verb", num_verbs), noun if rng.random() < skill else pick("noun", num_nouns))

    return Named(true, {role: [answer(pair, skill) for pair in true] for role, skill in skills.items()}, num_sources=min(31, num_clips))


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
        peak_memory_bytes=1_934_000_000,
        hardware={"device": "cpu", "cpu": "AMD EPYC 9R14", "num_cores": 2, "memory_gib": 8, "torch": "2.13.0"},
        predictions_uri=f"s3://retake/runs/9f/{role}-{split}.parquet",
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
        for t in TARGETS
        for b, a in zip(getattr(before, t).classes, getattr(after, t).classes, strict=True)
    )


def calibration(role, split, target, top1, num_clips):
    accuracies = [min(1.0, max(0.0, top1 + (i - 3) * 0.11)) for i in range(6)]
    bins = tuple(
        ReliabilityBin(low=i / 6, high=(i + 1) / 6, num_clips=num_clips * (i + 1) // 21, mean_confidence=(i + 0.6) / 6, accuracy=a)
        for i, a in enumerate(accuracies)
    )
    temperature = None if target == "action" else 1.37
    return Calibration(
        model=role,
        split=split,
        target=target,
        temperature=temperature,
        ece=0.1534,
        ece_calibrated=0.0621 if num_clips > 1 else None,
        bins=bins,
    )


def epochs(number, validated=True):
    return tuple(
        Epoch(
            epoch=i,
            train_loss=5.2 * 0.93**i + 0.3,
            val_loss=4.8 * 0.95**i + 0.9 + 0.002 * i * i / number if validated and i % 2 == 0 else None,
            val_verb_top1=0.4 + 0.3 * i / number if validated and i % 2 == 0 else None,
            val_noun_top1=0.3 + 0.3 * i / number if validated and i % 2 == 0 else None,
            val_action_top1=0.2 + 0.25 * i / number if validated and i % 2 == 0 else None,
        )
        for i in range(1, number + 1)
    )


DIRTY = DataChecks(
    shared_sources=("ZUr3DxYyTqI",),
    near_duplicates=(NearDuplicate(uid="a" * 12 + "-0001", split="train", other_uid="b" * 12 + "-0007", other_split="val", distance=3.5),),
    missing_from_train=("tray", "move tray"),
    label_conflicts=(LabelConflict(uid="a" * 12 + "-0002", action="take meat", other_uid="a" * 12 + "-0009", other_action="put meat"),),
)
CLEAN = DataChecks(shared_sources=(), near_duplicates=(), missing_from_train=(), label_conflicts=())


def metrics_of(named, *, split="test", checks=CLEAN, num_epochs=40, validated=True, passed=True, num_mistakes=4, **changes):
    roles = [role for role in ("baseline", "champion", "fine-tuned") if role in named.answers]
    opponent = "champion" if "champion" in roles else "baseline"
    results = tuple(result(named, role, split) for role in roles)
    ours, theirs = (next(r for r in results if r.model == role) for role in ("fine-tuned", opponent))
    wrong = [i for i, pair in enumerate(named.true) if named.answers["fine-tuned"][i] != pair][:num_mistakes]
    values = {
        "created": "2026-11-26T00:25:13+00:00",
        "model_name": "retake-tsn",
        "network": "TSN, resnet50, 8 segments",
        "deciding_split": split,
        "baseline": "the EPIC-KITCHENS-55 checkpoint, as it is",
        "baseline_is_chance": False,
        "champion_version": 3 if opponent == "champion" else None,
        "verdict": verdict_on(ours, theirs, difference(named, "action", opponent)),
        "passed": passed,
        "gate": GateOptions(),
        "rules": (
            RuleOutcome(rule="engine", title="Scored by the same engine", passed=True, detail="openvino bfloat16, both"),
            RuleOutcome(rule="num_clips", title="At least 10 clips", passed=True, detail=f"{len(named.true)} clips"),
            RuleOutcome(rule="num_sources", title="At least 3 source videos", passed=named.num_sources >= 3, detail=f"{named.num_sources}"),
            RuleOutcome(rule="gain", title="Interval of the gain above zero", passed=passed, detail="action top-1, 95 % interval"),
            RuleOutcome(rule="classes", title="No class loses more than 20 points", passed=True, detail="12 classes have 10 clips or more"),
        ),
        "splits": (
            SplitSize(split="train", num_clips=79, num_sources=5, num_verbs=3, num_nouns=5, num_actions=11),
            SplitSize(
                split=split,
                num_clips=len(named.true),
                num_sources=named.num_sources,
                **{f"num_{t}s": len(set(named.of(t))) for t in TARGETS},
            ),
        ),
        "results": results,
        "differences": tuple(difference(named, t, o) for t in TARGETS for o in roles if o != "fine-tuned"),
        "class_changes": class_changes(results, opponent),
        "calibration": tuple(calibration(r.model, split, t, getattr(r, t).top1, len(named.true)) for r in results for t in TARGETS),
        "mistakes": tuple(
            Mistake(
                uid=f"{i:012x}-0003",
                clip_uri=f"s3://retake/clips/{i:012x}/0003.mp4",
                source=f"video-{i % 3}",
                true_verb=named.true[i][0],
                true_noun=named.true[i][1],
                predicted_verb=named.answers["fine-tuned"][i][0],
                predicted_noun=named.answers["fine-tuned"][i][1],
                opponent_verb=named.answers[opponent][i][0],
                opponent_noun=named.answers[opponent][i][1],
                loss=9.1 - i / 50,
            )
            for i in wrong
        ),
        "checks": checks,
        "epochs": epochs(num_epochs, validated),
        "best_epoch": min(num_epochs, 28),
        "provenance": Provenance(
            run_key="9f86d081884c7d65",
            dataset_uri="s3://retake/datasets/2c26b46b68ffc68f/",
            dataset_digest="2c26b46b68ffc68f",
            code_version="0.1.0+g1a2b3c4",
            weights="EPIC-KITCHENS-55 checkpoint of TSN, ResNet-50, RGB",
            weights_sha256="5e" * 32,
            checkpoint_sha256="a7" * 32,
            train=TrainOptions(),
            evaluate=EvaluateOptions(),
            trained_on={"device": "cuda", "gpu": "NVIDIA H100", "gpu_memory_gib": 80, "torch": "2.13.0"},
            training_seconds=5025.0,
            airflow_run="manual__2026-11-26T00:00:00+00:00",
            mlflow_run_url="http://localhost:5000/#/experiments/1/runs/0123456789abcdef",
        ),
    }
    return Metrics(**{**values, **changes})


def confusion(true, answers, most=30):
    support = Counter(true)
    rows = sorted(support, key=lambda n: (-support[n], n))
    columns = rows + sorted(set(answers) - set(rows))

    def shown(names):
        return (*names[:most], f"{len(names) - most} others") if len(names) > most else tuple(names)

    counts = np.zeros((min(len(rows), most + 1), min(len(columns), most + 1)), np.int64)
    for t, a in zip(true, answers, strict=True):
        counts[min(rows.index(t), most), min(columns.index(a), most)] += 1
    return Confusion(shown(rows), shown(columns), counts)


def png(width=648, height=182):
    x = np.linspace(0, 255, width, dtype=np.uint8)
    frame = np.stack(
        [np.broadcast_to(x, (height, width)), np.full((height, width), 60, np.uint8), np.broadcast_to(255 - x, (height, width))], -1
    )
    buffer = io.BytesIO()
    Image.fromarray(frame).save(buffer, "PNG")
    return buffer.getvalue()


def frames(num_frames=8, height=256, width=456, seed=0):
    rng = np.random.default_rng(seed)
    small = rng.integers(40, 220, (num_frames, 4, 6, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(f).resize((width, height), Image.Resampling.BICUBIC)) for f in small])


def inputs_of(named, metrics):
    uids = [m.uid for m in metrics.mistakes]
    rng = np.random.default_rng(1)
    label_counts = {
        t: {
            "train": {n: c for n, c in Counter(named.of(t)).items() if n not in metrics.checks.missing_from_train and rng.random() < 0.95},
            metrics.deciding_split: dict(Counter(named.of(t))),
        }
        for t in TARGETS
    }
    maps = (
        (ActivationMap(uid=uids[0], target="noun", class_name=metrics.mistakes[0].predicted_noun, uri="s3://retake/map.png"),)
        if uids
        else ()
    )
    return ReportInputs(
        metrics=metrics,
        confusions={(role, t): confusion(named.of(t), named.of(t, role)) for role in named.answers for t in TARGETS},
        label_counts=label_counts,
        sheets={uid: contact_sheet(frames(seed=i)) for i, uid in enumerate(uids[:-1])},
        activations={found.uid: [(found, png())] for found in maps},
        clips=dict.fromkeys(uids[:2], b"\x00\x00\x00\x18ftypmp42"),
    )


HOSTILE_NAMES = (
    '<script>alert("x")</script>',
    "a|b`c`",
    '"><img src=http://evil.example/x.png onerror=alert(1)>',
    "x" * 120,
    "{{ m }}",
    "ﬂour 小麦",
)


def hostile():
    return drawn(60, 6, 6, names=lambda kind, i: f"{kind} {HOSTILE_NAMES[i]}")


CASES = {
    "usual": lambda: (named := drawn(), metrics_of(named)),
    "original": lambda: (
        named := original(),
        metrics_of(
            named, split="val", checks=DIRTY, num_epochs=60, passed=False, baseline="the EPIC-KITCHENS-55 checkpoint, fed wrong colours"
        ),
    ),
    "one clip": lambda: (
        named := Named([("take", "bag")], {"baseline": [("put", "cloth")], "fine-tuned": [("take", "bag")]}, num_sources=1),
        metrics_of(named, split="val", num_epochs=1, passed=False, baseline_is_chance=True),
    ),
    "many classes": lambda: (named := drawn(3000, 125, 352), metrics_of(named, num_epochs=1000, passed=False)),
    "hostile": lambda: (
        named := hostile(),
        metrics_of(named, validated=False, model_name="retake", network=HOSTILE_NAMES[0], verdict=HOSTILE_NAMES[2]),
    ),
    "bare": lambda: (
        named := drawn(20),
        metrics_of(
            named, passed=False, rules=(), splits=(), results=(), differences=(), class_changes=(), calibration=(), mistakes=(), epochs=()
        ),
    ),
}


@pytest.fixture(scope="session")
def make_inputs():
    """Inputs of one of the cases; `bare` has nothing but what is demanded."""
    made = {}

    def make(case="usual"):
        if case not in made:
            named, metrics = CASES[case]()
            made[case] = ReportInputs(metrics) if case == "bare" else inputs_of(named, metrics)
        return made[case]

    return make


@pytest.fixture(scope="session")
def cases():
    return tuple(CASES)
