import math

import pytest

from tasks.evaluation.report.charts import MAX_MARKS, nice_step, reliability_chart, training_charts
from tasks.results.metrics import Calibration, ReliabilityBin
from tasks.results.training import Epoch


def epoch(number, val=None):
    accuracy = None if val is None else 0.5
    return Epoch(
        epoch=number, train_loss=3 / number, val_loss=val, val_verb_top1=accuracy, val_noun_top1=accuracy, val_action_top1=accuracy
    )


def test_without_epochs_there_is_no_chart():
    assert training_charts([], 1) == ()


def test_without_validation_there_are_training_losses_alone():
    (losses,) = training_charts([epoch(1), epoch(2)], 1)
    assert [s.name for s in losses.series] == ["training"]


@pytest.mark.parametrize("number", [1, 2, 3, 7, 60, 1000])
def test_what_is_drawn_stays_within_its_box(number):
    for chart in training_charts([epoch(i, val=4.0) for i in range(1, number + 1)], number):
        left, top, right, bottom = chart.box
        for mark in (m for s in chart.series for m in s.marks):
            assert left <= mark.x <= right
            assert top <= mark.y <= bottom
        assert all(len(s.marks) <= MAX_MARKS for s in chart.series)
        labels = [t.label for t in chart.x_ticks]
        assert len(labels) == len(set(labels)) <= 8
        assert chart.kept is not None


def test_losses_of_zero_are_drawn():
    zero = epoch(1).model_copy(update={"train_loss": 0.0})
    (losses,) = training_charts([zero], 1)
    assert losses.series[0].marks[0].y == losses.box[3]


@pytest.mark.parametrize("top", [1e-6, 0.3, 1.0, 5.5, 6.0, 999, 1e6])
def test_an_axis_has_a_handful_of_round_ticks(top):
    parts = math.ceil(top / nice_step(top) - 1e-9)
    assert 2 <= parts <= 6


def test_a_bin_lies_at_its_confidence_and_accuracy_and_empty_bins_nowhere():
    bins = (
        ReliabilityBin(low=0, high=0.5, num_clips=0, mean_confidence=0, accuracy=0),
        ReliabilityBin(low=0.5, high=1, num_clips=4, mean_confidence=1.0, accuracy=1.0),
    )
    calibration = Calibration(model="fine-tuned", split="val", target="verb", temperature=1, ece=0, ece_calibrated=None, bins=bins)
    chart = reliability_chart("verbs", [("fine-tuned", calibration)])
    (mark,) = chart.series[0].marks
    _, top, right, _ = chart.box
    assert (mark.x, mark.y) == (right, top)
    assert "4 clips, mean confidence 100.0 %, right 100.0 %" in mark.title
