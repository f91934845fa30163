"""Realistic runs to make pages and cards of."""

import io
from functools import cache

import numpy as np
import pytest
from PIL import Image

from tasks.report.inputs import ReportInputs
from tasks.report.network_page import networks_page
from tasks.report.page import page
from tasks.report.search_page import search_page
from tasks.report.sheets import contact_sheet
from tasks.results.evaluation import ActivationMap
from tests.report.a_search import search_of
from tests.report.compared import NAMES as NETWORKS
from tests.report.compared import comparison_of
from tests.report.labels import curve_of
from tests.report.named import HOSTILE_NAMES, Named, drawn, hostile, mixed, without_objects
from tests.report.named import original as drawn_original
from tests.report.runs import DIRTY, metrics_of
from tests.scored_clips import make_clips, make_result, original, vocabulary

__all__ = ["make_clips", "make_inputs", "make_result", "original", "page_of", "vocabulary"]


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
    maps = (
        (ActivationMap(uid=uids[0], target="verb", class_name=metrics.mistakes[0].predicted_verb, uri="s3://retake/map.png"),)
        if uids
        else ()
    )
    return ReportInputs(
        metrics=metrics,
        sheets={uid: contact_sheet(frames(seed=i)) for i, uid in enumerate(uids[:-1])},
        activations={found.uid: [(found, png())] for found in maps},
        clips=dict.fromkeys(uids[:2], b"\x00\x00\x00\x18ftypmp42"),
    )


CASES = {
    "usual": lambda: (named := drawn(), metrics_of(named)),
    "original": lambda: (
        named := drawn_original(),
        metrics_of(
            named, split="val", checks=DIRTY, num_epochs=60, passed=False, baseline="the EPIC-KITCHENS-55 checkpoint, fed wrong colours"
        ),
    ),
    "one clip": lambda: (
        named := Named([("take", "bag")], {"baseline": [("put", "cloth")], "fine-tuned": [("take", "bag")]}, num_sources=1),
        metrics_of(named, split="val", num_epochs=1, passed=False, baseline_is_chance=True, learning_curve=curve_of(1)),
    ),
    "verbs alone": lambda: (named := without_objects(), metrics_of(named)),
    "mixed": lambda: (named := mixed(), metrics_of(named)),
    "many classes": lambda: (named := drawn(3000, 125, 352), metrics_of(named, num_epochs=1000, passed=False)),
    "hostile": lambda: (
        named := hostile(),
        metrics_of(named, validated=False, model_name="retake", network=HOSTILE_NAMES[0], verdict=HOSTILE_NAMES[2]),
    ),
    "bare": lambda: (
        named := drawn(20),
        metrics_of(
            named,
            passed=False,
            rules=(),
            splits=(),
            results=(),
            differences=(),
            class_changes=(),
            confusions=(),
            label_counts=(),
            calibration=(),
            mistakes=(),
            epochs=(),
            learning_curve=None,
            no_learning_curve="it is switched off",
        ),
    ),
}

RETRAIN = {"store": "s3://retake", "learning_rate": 0.003, "fuse": [], "checkpoint": None}
AIRFLOW = "http://127.0.0.1:8080/dags/retrain"
SEARCHES = {
    "search": lambda: search_of(24),
    "search of two objectives": lambda: search_of(80, num_failed=7, latency=True, folds=5, rounds=8, backbone="tf_efficientnet_lite2.in1k"),
    "search of three trials": lambda: search_of(3, num_failed=0),
    "search of one trial": lambda: search_of(1, num_failed=0, rounds=1),
    "search on one video": lambda: search_of(12, one_source=True),
    "search without accuracy in the curves": lambda: search_of(12, has_accuracy=False),
    "hostile search": lambda: search_of(12, failure=HOSTILE_NAMES[2], backbone=HOSTILE_NAMES[0]),
}
COMPARISONS = {
    "comparison": lambda: comparison_of(),
    "comparison of one network": lambda: comparison_of(num_networks=1, failed=NETWORKS[1:]),
    "hostile comparison": lambda: comparison_of(name=HOSTILE_NAMES[0], failed=HOSTILE_NAMES[2:3], others=HOSTILE_NAMES),
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
def page_of(make_inputs):
    """The page of one of the cases, rendered once for all who look at it."""

    @cache
    def page_of(case):
        if case in SEARCHES:
            return search_page(SEARCHES[case](), {HOSTILE_NAMES[0]: HOSTILE_NAMES[2]} if case.startswith("hostile") else RETRAIN, AIRFLOW)
        return networks_page(COMPARISONS[case]()) if case in COMPARISONS else page(make_inputs(case))

    return page_of
