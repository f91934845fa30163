"""All numbers of a made-up run, scored as real ones are."""

from collections import Counter
from datetime import date
from functools import cache

import numpy as np

from tasks.data.split.folds import SHARES
from tasks.judge.gate.verdict import verdict_on, why
from tasks.judge.statistics.answers import Answers
from tasks.judge.statistics.learning_curve import learning_curve
from tasks.judge.statistics.metrics import class_changes, measure
from tasks.judge.statistics.mistakes import confusion_of, wrong_cells
from tasks.judge.statistics.paired import over_guessing, paired_difference
from tasks.options import GateOptions
from tasks.store.records import metrics
from tasks.store.records.curves import LearningCurveResult
from tasks.store.records.decisions import Attempt, RuleOutcome
from tasks.store.records.evaluation import DoubtfulLabel, EngineUsed, EvaluateResult, LabelAudit, Latency
from tasks.store.records.record import MODELS, TARGETS
from tasks.store.records.training import Epoch
from tasks.store.records.video import WebPage
from tests.records import some
from tests.simulations.labels import TRUTHS, answers

CLEAN = metrics.DataChecks(shared_sources=(), near_duplicates=(), missing_from_train=(), label_conflicts=())
ALIKE = "a" * 12 + "-0001"
DIRTY = metrics.DataChecks(
    shared_sources=("ZUr3DxYyTqI",),
    near_duplicates=(metrics.NearDuplicate(uid=ALIKE, split="val", other_uid="b" * 12 + "-0007", other_split="train", distance=3.5),),
    missing_from_train=("tray", "move tray"),
    label_conflicts=(metrics.LabelConflict(uid=ALIKE, action="take meat", other_uid="a" * 12 + "-0009", other_action="put meat"),),
)
MACHINE = {"device": "cpu", "device_name": "AMD EPYC 9R14", "num_cores": 2, "memory_bytes": 8_263_315_456, "version.torch": "2.13.0"}
ENGINE = some(EngineUsed, name="openvino", precision="bfloat16", description="OpenVINO on the CPU in batches of 16")


def answers_of(named, target, role):
    true, predicted = named.of(target), named.of(target, role)
    ids = {name: i for i, name in enumerate(sorted(set(true).union(*(named.of(target, other) for other in named.answers))))}
    ranked = np.array([[ids[name]] for name in predicted])
    return Answers(target, np.array([ids[name] for name in true]), ranked, {i: name for name, i in ids.items()})


def sources_of(named):
    return [str(i % named.num_sources) for i in range(len(named.true))]


def uid_of(clip):
    return f"{clip:012x}_000000000-000008000"


@cache
def result(named, role, split):
    return some(
        EvaluateResult,
        model=role,
        split=split,
        num_clips=len(named.true),
        num_sources=named.num_sources,
        crops=10,
        targets=named.targets,
        **{target: measure(answers_of(named, target, role), sources_of(named)) for target in TARGETS},
        latency=some(Latency, inference_median_seconds=1.534, fps=5.2),
        engine=ENGINE,
        num_parameters=24_485_405,
        num_flops=655_402_000_000,
        hardware=MACHINE,
        audit=audit_of(named) if role == "fine-tuned" else None,
    )


def audit_of(named, num_doubtful=23):
    """The audit finds the first labels doubtful, and the last action likely in their place."""
    verb, noun = named.true[-1]
    likely = {"likely_verb": verb, "likely_noun": noun, "likely_probability": 0.914}
    doubtful = tuple(
        DoubtfulLabel(uid=uid_of(i), verb=named.true[i][0], noun=named.true[i][1], probability=0.003 + 0.001 * i, **likely)
        for i in range(min(num_doubtful, len(named.true)))
    )
    return LabelAudit(num_clips=79 + len(named.true), num_judged=77 + len(named.true), num_doubtful=len(doubtful), doubtful=doubtful)


@cache
def difference(named, target, opponent):
    ours, theirs = (answers_of(named, target, role) for role in ("fine-tuned", opponent))
    return paired_difference(ours, theirs, sources_of(named), opponent=opponent, num_resamples=200)


@cache
def beyond_guessing(named):
    return over_guessing(answers_of(named, named.targets[-1], "fine-tuned"), sources_of(named), num_resamples=200)


def label_counts(named, split, untaught):
    """Count as many clips in train as on the deciding split, except for classes that train lacks."""
    return tuple(
        metrics.LabelCount(target=target, split=where, name=name, num_clips=number)
        for target in named.targets
        for where, lacking in (("train", untaught), (split, ()))
        for name, number in Counter(named.of(target)).items()
        if name not in lacking
    )


def calibration(role, split, target, top1, num_clips):
    shares = [(number / 6, min(1, max(0, top1 + (number - 3) * 0.11))) for number in range(6)]
    bins = tuple(some(metrics.ReliabilityBin, low=low, high=low + 1 / 6, num_clips=num_clips // 6, accuracy=top1) for low, top1 in shares)
    return some(
        metrics.Calibration,
        model=role,
        split=split,
        target=target,
        temperature=None if target == "action" else 1.37,
        ece=0.1534,
        ece_by_chance=0.1217,
        ece_calibrated=0.0621 if num_clips > 1 else None,
        bins=bins,
    )


def epochs(number, validated=True, targets=TARGETS):
    """Every second one has validation, if any has."""

    def validation(i):
        return {"val_loss": 4.8 * 0.95**i + 0.9} | {f"val_{target}_top1": 0.3 + 0.3 * i / number for target in targets}

    return tuple(
        some(Epoch, epoch=i, train_loss=5.2 * 0.93**i + 0.3, **(validation(i) if validated and i % 2 == 0 else {}))
        for i in range(1, number + 1)
    )


def groups_of(named):
    """Score two cameras, the first of them bad, and the source videos."""
    word = named.true[0][int("noun" in named.targets)]
    cells = (
        ("source video", f"{word}.mp4", 12, 1, 0.25, 0.012, True),
        ("source video", "b.mp4", 3, 1, 1.0, None, False),
        ("camera", word, 40, 4, 0.4, 0.0003, True),
        ("camera", "new", 80, 8, 0.9, 0.21, False),
    )
    names = ("column", "name", "num_clips", "num_sources", "top1", "p_value", "is_worse")
    return tuple(metrics.GroupScore(interval=(0.1, 1.0), **dict(zip(names, own, strict=True))) for own in cells)


def web_page(title="A day at the grill", address="https://www.youtube.com/watch?v=ZUr3DxYyTqI", author="Street Kitchen", **changes):
    licence = "Creative Commons Attribution license (reuse allowed)"
    known = {"title": title, "author": author, "published_on": date(2019, 5, 1), "licence": licence, "address": address}
    return WebPage(**known | changes)


def metrics_of(named, *, split="test", checks=CLEAN, num_epochs=40, validated=True, passed=True, **changes):
    roles = [role for role in MODELS if role in named.answers]
    opponent = "champion" if "champion" in roles else "baseline"
    results = tuple(result(named, role, split) for role in roles)
    ours, theirs = (next(r for r in results if r.model == role) for role in ("fine-tuned", opponent))
    wrong = [i for i, pair in enumerate(named.true) if named.answers["fine-tuned"][i] != pair][:4]
    values = {
        "created": "2026-11-26T00:25:13+00:00",
        "model_name": "retake-tsn",
        "network": "TSN, resnet50, 8 segments",
        "deciding_split": split,
        "baseline": "the EPIC-KITCHENS-55 checkpoint, as it is",
        "baseline_is_chance": False,
        "champion_version": 3 if opponent == "champion" else None,
        "previous_version": 12 if "previous" in roles else None,
        "verdict": verdict_on(ours, theirs, difference(named, named.targets[-1], opponent)),
        "why": why(ours, theirs, difference(named, named.targets[-1], opponent), beats_guessing=beyond_guessing(named).interval[0] > 0),
        "passed": passed,
        "gate": GateOptions(),
        "rules": tuple(
            RuleOutcome(rule=rule, title=f"Rule of {rule}", passed=is_kept, detail=f"{named.targets[-1]} top-1, 95 % interval")
            for rule, is_kept in (("engine", True), ("num_clips", True), ("num_sources", named.num_sources >= 3), ("gain", passed))
        ),
        "attempt": Attempt(num_others=2, num_networks=3, charge=0.0125, spent=0.0375),
        "splits": (some(metrics.SplitSize, split="train", num_clips=79), some(metrics.SplitSize, split=split, num_clips=len(named.true))),
        "results": results,
        "differences": tuple(difference(named, t, o) for t in named.targets for o in roles if o != "fine-tuned"),
        "class_changes": class_changes(ours, theirs),
        "confusions": tuple(
            metrics.ConfusionCounts(
                model=role,
                target=t,
                rows=matrix.rows,
                columns=matrix.columns,
                counts=matrix.counts.tolist(),
                wrong=wrong_cells(matrix, answers_of(named, t, role), np.zeros(len(named.true)), list(map(uid_of, range(len(named.true))))),
            )
            for role in roles
            for t in named.targets
            for matrix in [confusion_of(answers_of(named, t, role))]
        ),
        "label_counts": label_counts(named, split, checks.missing_from_train),
        "calibration": tuple(calibration(r.model, split, t, getattr(r, t).top1, len(named.true)) for r in results for t in named.targets),
        "mistakes": tuple(
            metrics.Mistake(
                uid=uid_of(i),
                clip_uri=f"s3://retake/clips/{i:012x}/0003.mp4",
                source=f"kitchen-2026-01-0{1 + i % 3}" if i % 2 else f"{i % 3:064x}",
                loss=9.1 - i / 50,
                **dict(zip(("true_verb", "true_noun"), named.true[i], strict=True)),
                **dict(zip(("predicted_verb", "predicted_noun"), named.answers["fine-tuned"][i], strict=True)),
                **dict(zip(("opponent_verb", "opponent_noun"), named.answers[opponent][i], strict=True)),
            )
            for i in wrong
        ),
        "clips": tuple(
            metrics.NamedClip(uid=uid_of(i), file=f"{named.true[i][0]}-{i % 3}.mp4", start_seconds=8 * i, stop_seconds=8 * i + 8)
            for i in range(len(named.true))
        ),
        "groups": groups_of(named),
        "checks": checks,
        "epochs": epochs(num_epochs, validated, named.targets),
        "best_epoch": min(num_epochs, 28),
        "learning_curve": curve_of(targets=named.targets),
        "provenance": some(
            metrics.Provenance,
            dataset_uri="s3://retake/datasets/2c26b46b68ffc68f/",
            dataset_digest="2c26b46b68ffc68f",
            split_seed=7,
            bootstrap_seed=0,
            airflow_run="http://localhost:8080/dags/retrain/runs/manual",
            trained_on={**MACHINE, "device": "cuda", "device_name": "NVIDIA H100", "device_memory_bytes": 85_899_345_920},
            mlflow_run_url="http://localhost:5000/#/experiments/1/runs/0123456789abcdef",
        ),
    }
    return metrics.Metrics(**{**values, **changes})


NUM_CLIPS = 120


@cache
def curve_of(num_films=30, *, targets=TARGETS):
    """The curves of a usual law, on val films of five clips."""
    truth = next(truth for truth in TRUTHS if truth.name == "usual")
    sources = [str(film) for film in range(num_films) for _ in range(5)]
    sizes = [round(share * NUM_CLIPS) for share in SHARES]
    curves = []
    for seed, target in enumerate(targets):
        right = answers(np.random.default_rng(seed), truth, num_films)
        curves.append(learning_curve(right, sizes, sources, target=target, majority_top1=0.35, num_resamples=200))
    clips = {"num_clips": NUM_CLIPS, "num_sources": 12, "num_val_clips": len(sources), "num_val_sources": num_films}
    trainings = {"recipe": "own", "num_draws": 5, "num_asked_epochs": 60, "num_epochs": 60}
    return some(LearningCurveResult, curves=tuple(curves), **clips, **trainings)
