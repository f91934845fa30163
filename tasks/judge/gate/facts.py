"""Collect the facts of a report that tell what to do next."""

import math

from tasks.judge.gate.verdict import deciding_results, opponent_of
from tasks.report_steps import Facts, Rare
from tasks.settings import form_path, in_airflow, label_url
from tasks.store.records.dataset import NOTHING
from tasks.store.records.metrics import Metrics
from tasks.wording import roughly

MIN_SOURCES = 3
"""Source videos of a class, one for each split."""


def facts_of(metrics: Metrics, *, has_champion: bool = False) -> Facts:
    """Collect the facts that tell what to do next."""
    counts: dict[str, Rare] = {}
    for label in metrics.label_counts:
        if label.target == metrics.targets[-1] and label.name != NOTHING:
            before = counts.get(label.name, Rare(label.name, 0, 0))
            num_sources = before.num_sources + (label.num_sources or MIN_SOURCES)
            counts[label.name] = Rare(label.name, before.num_clips + label.num_clips, num_sources)
    is_due = metrics.is_champion is None and (metrics.passed or metrics.provisional) and metrics.gate.promotion == "auto"
    compared = ("fine-tuned", opponent_of(metrics))
    top1 = [getattr(result, metrics.targets[-1]).top1 for result in deciding_results(metrics) if result.model in compared]
    few = (rare for rare in counts.values() if rare.num_clips < metrics.gate.min_class_clips or rare.num_sources < MIN_SOURCES)
    champion, challenger = (f"models:/{metrics.model_name}@{alias}" for alias in ("champion", "challenger"))
    has_champion |= metrics.has_champion or metrics.champion_version is not None or is_due
    store_uri = metrics.provenance.store_uri
    predict = form_path("predict_videos", {"store": store_uri, "model": champion if has_champion else challenger})
    second = f"models:/{metrics.model_name}/{metrics.version}" if metrics.version else challenger
    compare = form_path("compare_versions", {"store": store_uri, "first": champion, "second": second})
    return Facts(
        model_name="" if metrics.provenance.train.label_noise else metrics.model_name,
        has_champion=has_champion,
        num_unlabelled=metrics.num_unlabelled,
        missing=tuple(
            f"{rule.title.lower()} ({rule.detail}{_labels_needed(metrics) if rule.rule == 'num_clips' else ''})"
            for rule in metrics.rules
            if not rule.passed
        ),
        faultless_split=metrics.deciding_split if all(score == 1 for score in top1) and len(top1) > 1 else "",
        rare=tuple(sorted(few, key=lambda rare: (rare.num_clips, rare.num_sources, rare.name))),
        label_url=label_url(metrics.provenance.airflow_run, uri=metrics.provenance.dataset_uri),
        predict_url=in_airflow(metrics.provenance.airflow_run, predict),
        has_opponent=metrics.champion_version is not None and not metrics.passed and not metrics.provenance.train.label_noise,
        compare_url=in_airflow(metrics.provenance.airflow_run, compare),
    )


def _labels_needed(metrics: Metrics) -> str:
    """Word an estimate of the labelled clips that the gate needs.

    With so many, the deciding split has as many as the gate asks for. Empty if it has none with an action.
    """
    num_clips = {size.split: size.num_clips for size in metrics.splits}
    num_deciding = sum(size.num_clips - size.num_nothing for size in metrics.splits if size.split == metrics.deciding_split)
    if not num_deciding:
        return ""
    needed = math.ceil(metrics.gate.min_gate_clips * sum(num_clips.values()) / num_deciding)
    return f": {roughly(needed)} labelled clips; videos keep their split, so a larger {metrics.deciding_split}_share serves new videos only"
