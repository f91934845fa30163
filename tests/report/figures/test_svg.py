import re

import pytest

from tasks.report.figures.curves import MAX_MARKS, training_charts
from tasks.report.figures.reliability import reliability_chart
from tasks.report.figures.svg import VARIABLES
from tasks.results.metrics import Calibration, ReliabilityBin
from tasks.results.training import Epoch


def epoch(number, val=None):
    accuracy = None if val is None else 0.5
    return Epoch(
        epoch=number, train_loss=3 / number, val_loss=val, val_verb_top1=accuracy, val_noun_top1=accuracy, val_action_top1=accuracy
    )


def calibration(role, *bins):
    return role, Calibration(model=role, split="val", target="verb", temperature=1, ece=0, ece_calibrated=None, bins=bins)


BINS = (
    ReliabilityBin(low=0, high=0.5, num_clips=0, mean_confidence=0, accuracy=0),
    ReliabilityBin(low=0.5, high=1, num_clips=4, mean_confidence=1.0, accuracy=0.75),
)


def words(chart):
    return re.findall(r"<text[^>]*>([^<]*)</text>", chart.svg)


def told(chart):
    """What marks say under the pointer; the first title is that of the whole drawing."""
    return re.findall(r"<title[^>]*>([^<]*)</title>", chart.svg)[1:]


def test_a_learning_rate_is_drawn_where_it_changes():
    constant, warming = ([epoch(i).model_copy(update={"learning_rate": rate * 1e-5}) for i, rate in ((1, 1), (2, last))] for last in (1, 3))
    assert [chart.title for chart in training_charts(constant, 1, 1)] == ["Loss"]
    _, rate = training_charts(warming, 1, 1)
    assert told(rate) == ["heads, epoch 2: 1e-05", "heads, epoch 3: 3e-05"]


def test_without_epochs_there_is_no_chart():
    assert training_charts([], 1, 1) == ()


def test_without_validation_there_are_training_losses_alone():
    (losses,) = training_charts([epoch(1), epoch(2)], 1, 1)
    assert "training" in words(losses)
    assert "validation" not in words(losses)


def test_every_point_tells_its_numbers_counted_from_one_and_the_kept_epoch_is_marked():
    losses, accuracies = training_charts([epoch(i, val=4.0) for i in (1, 2)], 2, 10)
    assert accuracies.title == "Validation top-1, 10 crops"
    assert told(losses) == [
        "training, epoch 2: 3.000",
        "training, epoch 3: 1.500",
        "validation, epoch 2: 4.000",
        "validation, epoch 3: 4.000",
    ]
    assert told(accuracies)[0] == "verbs, epoch 2: 50.0 %"
    assert "kept: 3" in words(losses)
    assert "ends at 1.500" in losses.svg


@pytest.mark.parametrize("number", [1, 2, 3, 7, 60, 1000])
def test_what_is_drawn_stays_within_its_drawing(number):
    for chart in training_charts([epoch(i, val=4.0) for i in range(1, number + 1)], number, 1):
        width, height = (float(n) for n in re.search(r'viewBox="0 0 (\S+) (\S+)"', chart.svg).groups())
        marks = [(float(x), float(y)) for x, y in re.findall(r'<use [^>]*x="(\S+)" y="(\S+)"', chart.svg)]
        assert marks
        assert all(0 <= x <= width and 0 <= y <= height for x, y in marks)
        assert len(told(chart)) <= 3 * MAX_MARKS
        ticks = [w for w in words(chart) if w.isdigit()]
        assert 1 <= len(ticks) <= 16
        assert len(chart.svg) < 40_000


def test_losses_of_zero_are_drawn():
    (losses,) = training_charts([epoch(1).model_copy(update={"train_loss": 0.0})], 1, 1)
    assert told(losses) == ["training, epoch 2: 0.000"]


def test_a_bin_tells_its_numbers_and_an_empty_one_is_not_drawn():
    chart = reliability_chart("verb", [calibration("fine-tuned", *BINS)])
    assert told(chart) == ["fine-tuned: 4 clips, mean confidence 100.0 %, accuracy 75.0 %"]
    assert {"fine-tuned", "perfectly calibrated", "confidence, %", "accuracy, %"} <= set(words(chart))


def test_bins_without_clips_make_a_chart_all_the_same():
    assert "no clips" in reliability_chart("verb", [calibration("baseline", BINS[0])]).svg


def test_a_drawing_has_no_colour_of_its_own_and_refers_to_nothing_outside():
    charts = (*training_charts([epoch(1, val=4.0), epoch(2)], 1, 1), reliability_chart("verb", [calibration("baseline", *BINS)]))
    for chart in charts:
        used = set(re.findall(r"(?:fill|stroke): ([^;\"]+)", chart.svg))
        assert used <= {*VARIABLES.values(), "none"}
        assert not re.search(r"#\w{6}\b(?!\w)", re.sub(r'href="[^"]*"', "", chart.svg))
        assert not re.search(r"url\(|https?:|xlink|font-family|<style", chart.svg)
        ids = re.findall(r' id="([^"]+)"', chart.svg)
        assert set(re.findall(r'href="#([^"]+)"', chart.svg)) <= set(ids)
        assert len(ids) == len(set(ids))
    ids = [found for chart in charts for found in re.findall(r' id="([^"]+)"', chart.svg)]
    assert len(ids) == len(set(ids))


def test_the_same_numbers_are_the_same_drawing():
    first, second = (training_charts([epoch(1, val=4.0), epoch(2)], 1, 1) for _ in range(2))
    assert first == second
