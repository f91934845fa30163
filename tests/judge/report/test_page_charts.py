import re

import pytest

from tasks.judge.report.page_charts import MAX_MARKS, reliability_chart, training_charts
from tasks.judge.report.style import VARIABLES
from tasks.store.records.metrics import Calibration, ReliabilityBin
from tasks.store.records.record import TARGETS
from tasks.store.records.training import Epoch
from tests.judge.report.tree import stays_within, words_of


def epoch(number, val=None):
    accuracies = dict.fromkeys((f"val_{target}_top1" for target in TARGETS), None if val is None else 0.5)
    return Epoch(epoch=number, train_loss=3 / number, val_loss=val, **accuracies)


def calibration(role, *bins):
    return role, Calibration(model=role, split="val", target="verb", temperature=1, ece=0, ece_calibrated=None, bins=bins)


BINS = (
    ReliabilityBin(low=0, high=0.5, num_clips=0, mean_confidence=0, accuracy=0),
    ReliabilityBin(low=0.5, high=1, num_clips=4, mean_confidence=1.0, accuracy=0.75),
)


def test_a_learning_rate_is_drawn_where_it_changes():
    constant, warming = ([epoch(i).model_copy(update={"learning_rate": rate * 1e-5}) for i, rate in ((1, 1), (2, last))] for last in (1, 3))
    assert [chart.title for chart in training_charts(constant, 1, 1)] == ["Loss"]
    _, rate = training_charts(warming, 1, 1)
    assert words_of(rate.svg)[1] == ["heads, epoch 2: 1e-05", "heads, epoch 3: 3e-05"]


def test_there_is_no_chart_of_no_epochs_and_training_losses_alone_without_validation():
    assert training_charts([], 1, 1) == ()
    (losses,) = training_charts([epoch(1).model_copy(update={"train_loss": 0.0})], 1, 1)
    assert words_of(losses.svg)[1] == ["training, epoch 2: 0.000"]
    assert "training" in words_of(losses.svg)[0]
    assert "validation" not in words_of(losses.svg)[0]


def test_every_point_tells_its_numbers_counted_from_one_and_the_kept_epoch_is_marked():
    losses, accuracies = training_charts([epoch(i, val=4.0) for i in (1, 2)], 2, 10)
    assert accuracies.title == "Validation top-1, 10 crops"
    assert words_of(losses.svg)[1] == [
        "training, epoch 2: 3.000",
        "training, epoch 3: 1.500",
        "validation, epoch 2: 4.000",
        "validation, epoch 3: 4.000",
    ]
    assert words_of(accuracies.svg)[1][0] == "verbs, epoch 2: 50.0 %"
    assert "kept: 3" in words_of(losses.svg)[0]
    top, bottom = (float(re.findall(r'y="([\d.]+)">kept: 3', chart.svg)[0]) for chart in (losses, accuracies))
    assert top < bottom, "losses fall, scores rise: the label keeps out of their way"
    assert "ends at 1.500" in losses.svg
    (long,) = training_charts([epoch(i) for i in range(1, 42)], 1, 1)
    assert f"training ends at {3 / 41:.3f}." in long.svg, "also where the last epoch has no mark"


@pytest.mark.parametrize("number", [1, 2, 60, 1000])
def test_what_is_drawn_stays_within_its_drawing(number):
    for chart in training_charts([epoch(i, val=4.0) for i in range(1, number + 1)], number, 1):
        assert stays_within(chart.svg)
        assert len(words_of(chart.svg)[1]) <= 3 * MAX_MARKS
        ticks = [w for w in words_of(chart.svg)[0] if w.isdigit()]
        assert 1 <= len(ticks) <= 16
        assert len(chart.svg) < 40_000


def test_a_bin_tells_its_numbers_and_an_empty_one_is_not_drawn():
    chart = reliability_chart("verb", [calibration("fine-tuned", *BINS)])
    assert words_of(chart.svg)[1] == ["new network: 4 clips, mean confidence 100.0 %, accuracy 75.0 %"]
    assert {"new network", "perfectly calibrated", "confidence, %", "accuracy, %"} <= set(words_of(chart.svg)[0])
    assert "no clips" in reliability_chart("verb", [calibration("baseline", BINS[0])]).svg


def test_a_drawing_has_no_colour_of_its_own_and_refers_to_nothing_outside():
    charts = (*training_charts([epoch(1, val=4.0), epoch(2)], 1, 1), reliability_chart("verb", [calibration("baseline", *BINS)]))
    assert charts[:2] == training_charts([epoch(1, val=4.0), epoch(2)], 1, 1)
    for chart in charts:
        used = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", chart.svg))
        assert used <= {*VARIABLES.values(), "none"}
        assert not re.search(r"#\w{6}\b(?!\w)", re.sub(r'href="[^"]*"', "", chart.svg))
        assert not re.search(r"url\(|https?:|xlink|font-family|<style", chart.svg)
        assert set(re.findall(r'href="#([^"]+)"', chart.svg)) <= set(re.findall(r' id="([^"]+)"', chart.svg))
    ids = re.findall(r' id="([^"]+)"', "".join(chart.svg for chart in charts))
    assert len(ids) == len(set(ids))
