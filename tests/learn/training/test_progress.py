import logging
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tasks.learn.training import progress
from tasks.learn.training.fit import fit
from tasks.options import TrainOptions
from tests.learn.tiny import job


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def go_on(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "monotonic", made.monotonic)
    return made


@pytest.fixture
def lines(clips, tmp_path: Path, caplog: pytest.LogCaptureFixture, clock: Clock):
    """Lines about the time of a training of 4 clips, validated on 2, where a clip takes so long forward and so long back."""

    def run(forward_seconds: float, backward_seconds: float, **choice) -> list[str]:
        planned = job(tmp_path, clips, batch_size=1, trainable="heads", **choice)
        planned.network.backbone.register_forward_hook(lambda *_: clock.go_on(forward_seconds))
        planned.network.head.fc_verb.weight.register_hook(lambda _: clock.go_on(backward_seconds))
        with caplog.at_level(logging.INFO, logger=progress.__name__):
            fit(planned)
        return [record.getMessage() for record in caplog.records if record.name == progress.__name__]

    return run


def test_the_first_batches_tell_how_long_it_all_takes_and_the_rest_how_much_is_left(lines):
    first, *others = lines(100, 300, epochs=3, validate_every=3)
    # 4 * 3 - 3 batches of 400 s, and one validation of 2 clips of 100 s.
    assert (
        first == f"about 1 h 03 min for 3 epochs of 4 clips and their validations, estimated from {progress.NUM_TIMED} batches of 400.00 s"
    )
    left = [9 * 400 + 200 - 400 * number for number in range(1, 10)]
    assert others == [
        f"epoch {batch // 4 + 1}/3, batch {batch % 4 + 1} of 4; about {progress.duration(round(seconds))} left"
        for batch, seconds in enumerate(left, start=3)
    ]


@pytest.mark.slow
def test_a_validation_counts_as_its_crops_and_then_as_it_was(lines):
    first, *_, last = lines(10, 30, epochs=2, validation_crops=10)
    assert first.startswith(f"about {progress.duration(5 * 40 + 2 * 2 * 10 * 10)} for 2 epochs")
    assert last == f"epoch 2/2, batch 4 of 4; about {progress.duration(2 * 10 * 10)} left"


def test_a_training_of_seconds_says_nothing_of_its_time(lines):
    assert lines(0.1, 0.3, epochs=3) == []


@pytest.mark.parametrize(("epochs", "between_seconds"), [(6, 12), (60, 24)])
def test_lines_come_after_ten_seconds_or_a_hundredth_of_what_is_left(epochs, between_seconds, caplog, clock):
    callback = progress.RemainingTime(TrainOptions(epochs=epochs, validate_every=epochs), 10, 2)
    trainer = SimpleNamespace(current_epoch=0, num_training_batches=10, is_global_zero=True)
    module = SimpleNamespace(device=torch.device("cpu"))
    told: list[float] = []
    with caplog.at_level(logging.INFO, logger=progress.__name__):
        callback.on_train_epoch_start(trainer, module)
        for batch in range(10):
            clock.go_on(4)
            callback.on_train_batch_end(trainer, module, None, None, batch)
            told += [clock.now] * (len(caplog.records) - len(told))
    assert told == [3 * 4 + between_seconds * number for number in range(len(told))]
    assert len(told) > 1
