"""The section on a long training: one sentence, and a drawing that stays within its frame."""

from types import SimpleNamespace

import numpy as np
import pytest

from tasks.judge.report.figures.long_training import long_chart
from tasks.judge.report.long_training import long_section, sentence_of
from tasks.judge.statistics.descents import long_training
from tasks.store.records.training import Epoch
from tests.judge.report.tree import stays_within, words_of
from tests.judge.statistics.clips import kept_answers

NUMBERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4000)
DESCENT = (0.60, 0.50, 0.38, 0.30, 0.33, 0.42, 0.50, 0.52, 0.46, 0.36, 0.28, 0.25, 0.24)
ONE_FALL = tuple(sorted(DESCENT, reverse=True))
VAL = ("val_verb_top1", "val_noun_top1", "val_action_top1")


def kept(errors, num_clips=600, clips_a_video=6):
    """Answers with these errors: a clip is wrong while the error is above its own threshold."""
    thresholds = np.random.default_rng(0).permutation(num_clips) / num_clips
    return [kept_answers(number - 1, thresholds >= error, clips_a_video, loss=error) for number, error in zip(NUMBERS, errors, strict=True)]


def history(errors, fitted=300):
    """Epochs with these errors on val, that answer the more training clips correctly the longer they train."""
    by_number = np.interp(np.log(np.arange(1, NUMBERS[-1] + 1)), np.log(NUMBERS), errors)
    shown = [(i, error) for i, error in enumerate(by_number.tolist()) if i < 1000 or i % 20 == 0 or i + 1 == NUMBERS[-1]]
    top1 = {i: {"train_verb_top1": min(1.0, i / fitted), "train_action_top1": min(1.0, 0.2 + 0.8 * i / fitted)} for i, _ in shown}
    return [
        Epoch(epoch=i, train_loss=1, val_loss=3 * error, **dict.fromkeys(VAL, 1 - error), train_noun_top1=0, **top1[i])
        for i, error in shown
    ]


def found(errors, **choice):
    return long_training(kept(errors, **choice), history(errors), "action", num_resamples=200)


def test_a_second_descent_is_told_in_one_sentence():
    sentence = sentence_of(found(DESCENT))
    assert sentence.startswith(
        "A second descent: on 600 val clips of 100 source videos the error of actions rises from 30.0 % after epoch 8 "
    )
    assert "to 52.0 % after epoch 128 (+22.0 points" in sentence
    assert "falls again to 24.0 % after epoch 4,000 (-28.0 points" in sentence
    assert "the second minimum is lower than the first" in sentence
    assert sentence.count(". ") == 0


def test_few_clips_cannot_tell_and_without_a_rise_none_is_seen():
    assert sentence_of(found(DESCENT, num_clips=15, clips_a_video=3)).startswith("The data cannot tell whether there is a second descent")
    assert sentence_of(found(ONE_FALL)).startswith("No second descent is seen")


@pytest.mark.parametrize(("errors", "marks"), [(DESCENT, ["1st minimum: 8", "peak: 128", "2nd minimum: 4,000"]), (ONE_FALL, [])])
def test_the_drawing_marks_what_the_sentence_names(errors, marks):
    chart = long_chart(found(errors), history(errors))
    words, told = words_of(chart.svg)
    assert [word for word in words if "minimum" in word or "peak" in word] == marks
    assert {"training error", "validation error", "validation loss", "training error 0: 301"} <= set(words)
    assert [mark.partition(":")[0] for mark in told] == [f"epoch {number:,}" for number in NUMBERS]
    assert stays_within(chart.svg)
    assert len(chart.svg) < 150_000


def test_mixup_has_no_training_error_and_the_note_says_so():
    epochs = [one.model_copy(update=dict.fromkeys(("train_verb_top1", "train_noun_top1", "train_action_top1"))) for one in history(DESCENT)]
    result = long_training(kept(DESCENT), epochs, "action", num_resamples=200)
    options = SimpleNamespace(mixup=0.2, label_noise=0)
    section = long_section(SimpleNamespace(long_training=result, epochs=epochs, provenance=SimpleNamespace(train=options)))
    assert "With mixup there is no training error" in section.note
    assert "training error" not in section.chart.svg
    assert long_section(SimpleNamespace(long_training=None)) is None
