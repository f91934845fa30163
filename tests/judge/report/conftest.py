"""Realistic runs to make pages and cards of."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from tasks.judge.report.networks import networks_page
from tasks.judge.report.png_figures import contact_sheet, spectrogram_sheet
from tasks.judge.report.run import ReportInputs, page
from tasks.judge.report.search import search_page
from tasks.predict.page import page as prediction_page
from tasks.store.records.evaluation import ActivationMap
from tests.judge.report.a_search import search_of
from tests.judge.report.compared import NAMES as NETWORKS
from tests.judge.report.compared import comparison_of, versions_of
from tests.judge.report.named import HOSTILE_NAMES, Named, drawn, hostile, mixed, original, without_objects
from tests.judge.report.runs import DIRTY, curve_of, metrics_of
from tests.predict.pages import CASES as PREDICTED
from tests.records import some

PICTURE = contact_sheet(np.random.default_rng(0).integers(40, 220, (8, 90, 160, 3), dtype=np.uint8))
THUMBNAIL = contact_sheet(np.random.default_rng(0).integers(40, 220, (1, 90, 160, 3), dtype=np.uint8), 96)


def pictured(named_uids):
    """Small pictures of the first clips that are named."""
    return dict.fromkeys(named_uids[:20], THUMBNAIL)


def inputs_of(metrics):
    """Pictures of all mistakes but the last, small ones of the first clips that are named, a map of activations for the first, and the films of the first two."""
    uids = [mistake.uid for mistake in metrics.mistakes]
    maps = [some(ActivationMap, uid=uid, class_name=metrics.mistakes[0].predicted_verb) for uid in uids[:1]]
    return ReportInputs(
        metrics=metrics,
        sheets=dict.fromkeys(uids[:-1], PICTURE),
        thumbnails=pictured(metrics.named_uids),
        activations={shown.uid: [(shown, spectrogram_sheet(np.zeros((100, 128), np.uint8)))] for shown in maps},
        clips=dict.fromkeys(uids[:2], b"\x00\x00\x00\x18ftypmp42"),
    )


LONG = ("confusions", "class_changes", "label_counts", "calibration", "epochs")
"""What most of a page's time goes into."""
EMPTY = ("groups", "rules", "splits", "results", "differences", "mistakes", *LONG)
OF_ONE_CLIP = Named([("take", "bag")], {"baseline": [("put", "cloth")], "fine-tuned": [("take", "bag")]}, num_sources=1)
NO_CURVE = {"learning_curve": None, "no_learning_curve": "it is switched off"}
CASES = {
    "usual": lambda: metrics_of(drawn()),
    "original": lambda: metrics_of(original(), split="val", checks=DIRTY, num_epochs=60, passed=False),
    "one clip": lambda: metrics_of(
        OF_ONE_CLIP, split="val", num_epochs=1, passed=False, learning_curve=curve_of(1), baseline_is_chance=True
    ),
    "verbs alone": lambda: metrics_of(without_objects()),
    "mixed": lambda: metrics_of(mixed(), **NO_CURVE),
    "many classes": lambda: metrics_of(drawn(300, 60, 150), passed=False, **NO_CURVE),
    "hostile": lambda: metrics_of(hostile(), validated=False, network=HOSTILE_NAMES[0], verdict=HOSTILE_NAMES[2], **NO_CURVE),
    "bare": lambda: metrics_of(drawn(20), passed=False, **NO_CURVE, **dict.fromkeys(EMPTY, ())),
}

RETRAIN = {"store": "s3://retake", "learning_rate": 0.003, "fuse": [], "checkpoint": None}
AIRFLOW = "http://127.0.0.1:8080/dags/retrain"
SEARCHES = {
    "search": lambda: search_of(24),
    "search of two objectives": lambda: search_of(80, num_failed=7, latency=True, folds=5, rounds=8, backbone="tf_efficientnet_lite2.in1k"),
    "search of one trial": lambda: search_of(1, num_failed=0, rounds=1),
    "search on one video": lambda: search_of(3, num_failed=0, one_source=True),
    "hostile search": lambda: search_of(12, failure=HOSTILE_NAMES[2], backbone=HOSTILE_NAMES[0]),
}
COMPARISONS = {
    "comparison": lambda: comparison_of(),
    "comparison of one network": lambda: comparison_of(num_networks=1, failed=NETWORKS[1:]),
    "comparison of two versions": lambda: versions_of(),
    "hostile comparison of two versions": lambda: versions_of(hostile(), name=HOSTILE_NAMES[0]),
    "hostile comparison": lambda: comparison_of(name=HOSTILE_NAMES[0], failed=HOSTILE_NAMES[2:3], others=HOSTILE_NAMES),
}


PREDICTIONS = {f"{case} prediction": made for case, made in PREDICTED.items()}


@pytest.fixture(scope="session")
def make_inputs():
    """Inputs of one of the cases; `bare` has nothing but what is demanded."""

    @cache
    def make(case="usual"):
        metrics = CASES[case]()
        return ReportInputs(metrics) if case == "bare" else inputs_of(metrics)

    return make


@pytest.fixture(scope="session")
def changed_page(make_inputs):
    """The page of a case with other metrics, without what takes long unless it is among them."""

    def changed_page(case="usual", **changes):
        inputs = make_inputs(case)
        return page(replace(inputs, metrics=inputs.metrics.model_copy(update=dict.fromkeys(LONG, ()) | NO_CURVE | changes)))

    return changed_page


@pytest.fixture(scope="session")
def page_of(make_inputs):
    """The page of one of the cases, rendered once for all who look at it."""

    @cache
    def page_of(case):
        if case in SEARCHES:
            return search_page(SEARCHES[case](), {HOSTILE_NAMES[0]: HOSTILE_NAMES[2]} if case.startswith("hostile") else RETRAIN, AIRFLOW)
        if case in COMPARISONS:
            comparison = COMPARISONS[case]()
            return networks_page(comparison, pictured(comparison.named_uids))
        if case in PREDICTIONS:
            predicted = PREDICTIONS[case]()
            return prediction_page(replace(predicted, thumbnails=pictured(predicted.named_uids)))
        return page(make_inputs(case))

    return page_of
