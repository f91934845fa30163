"""The sizes that the literature gives, and the times that a log foretells."""

import logging
from itertools import accumulate, chain
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import NetworkSpec
from tasks.learn.training import costs
from tasks.learn.training.costs import clip_seconds, complexity, time_batch
from tasks.learn.training.fit import fit
from tasks.options import Consensus, Family, Modality, TrainOptions
from tests.learn.test_sound_networks import SOUND
from tests.learn.tiny import job, tiny


@pytest.mark.parametrize("spec", [tiny(), SOUND], ids=lambda spec: spec.modality)
def test_a_clip_is_timed_by_the_median_after_a_first_that_does_not_count(spec, monkeypatch: pytest.MonkeyPatch):
    durations = [100, 4, 1, 2, 50, 3]
    times = iter(accumulate(chain.from_iterable((1, seconds) for seconds in durations)))
    monkeypatch.setattr(costs, "perf_counter", lambda: next(times))
    assert clip_seconds(Network(spec), 10, "cpu") == 3
    assert next(times, None) is None


@pytest.mark.slow
def test_ten_crops_take_longer_than_one():
    one, ten = (clip_seconds(Network(tiny()), num_crops, "cpu") for num_crops in (1, 10))
    assert 0 < 2 * one < ten


def test_a_resnet50_has_23_5_million_parameters_below_its_heads_and_8_2_billion_operations_an_image():
    size, num_classes = complexity([NetworkSpec(backbone="resnet50")], 1), 125 + 352
    assert size.num_parameters - (2048 + 1) * num_classes == 23_508_032
    assert (size.num_flops - 2 * 2048 * num_classes) / 8 == pytest.approx(8.18e9, rel=0.01)


@pytest.mark.slow
def test_ten_crops_are_ten_backbones_and_one_linear_head_or_as_many_of_one_that_relates_segments():
    for consensus in Consensus:
        centre, ten = (complexity([tiny(num_segments=3, consensus=consensus)], num_crops).num_flops for num_crops in (1, 10))
        shared = 2 * 96 * (5 + 4) if consensus is Consensus.AVERAGE else 0
        assert ten - shared == 10 * (centre - shared)


def test_a_shift_costs_nothing_and_several_networks_cost_their_sum():
    tsn, tsm, flow = (complexity([spec], 1) for spec in (tiny(), tiny(Family.TSM), tiny(modality=Modality.FLOW)))
    assert tsm == tsn
    assert complexity([tiny(), tiny(modality=Modality.FLOW)], 1).num_flops == tsn.num_flops + flow.num_flops
    assert flow.num_parameters > tsn.num_parameters


@pytest.mark.parametrize("options", [{"label_smoothing": 0.1}, {"class_weights": "balanced"}])
def test_a_step_is_timed_before_there_are_labels(tiny_network: Network, options):
    assert time_batch(tiny_network, TrainOptions(**options), 4, "cpu").seconds > 0


class Clock:
    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def go_on(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(costs, "monotonic", made.monotonic)
    return made


@pytest.fixture
def lines(clips, tmp_path: Path, caplog: pytest.LogCaptureFixture, clock: Clock):
    """Lines about the time of a training of 4 clips, validated on 2, where a clip takes so long forward and so long back."""

    def run(forward_seconds: float, backward_seconds: float, **choice) -> list[str]:
        planned = job(tmp_path, clips, batch_size=1, trainable="heads", **choice)
        planned.network.backbone.register_forward_hook(lambda *_: clock.go_on(forward_seconds))
        planned.network.head.fc_verb.weight.register_hook(lambda _: clock.go_on(backward_seconds))
        with caplog.at_level(logging.INFO, logger=costs.__name__):
            fit(planned)
        return [record.getMessage() for record in caplog.records if record.name == costs.__name__]

    return run


def test_the_first_batches_tell_how_long_it_all_takes_and_the_rest_how_much_is_left(lines):
    first, *others = lines(100, 300, epochs=3, validate_every=3)
    # 4 * 3 - 3 batches of 400 s, and one validation of 2 clips of 100 s.
    assert first == f"about 1 h 03 min for 3 epochs of 4 clips and their validations, estimated from {costs.NUM_TIMED} batches of 400.00 s"
    left = [9 * 400 + 200 - 400 * number for number in range(1, 10)]
    assert others == [
        f"epoch {batch // 4 + 1}/3, batch {batch % 4 + 1} of 4; about {costs.duration(round(seconds))} left"
        for batch, seconds in enumerate(left, start=3)
    ]


@pytest.mark.slow
def test_a_validation_counts_as_its_crops_and_then_as_it_was(lines):
    first, *_, last = lines(10, 30, epochs=2, validation_crops=10)
    assert first.startswith(f"about {costs.duration(5 * 40 + 2 * 2 * 10 * 10)} for 2 epochs")
    assert last == f"epoch 2/2, batch 4 of 4; about {costs.duration(2 * 10 * 10)} left"


def test_a_training_of_seconds_says_nothing_of_its_time(lines):
    assert lines(0.1, 0.3, epochs=3) == []


@pytest.mark.parametrize(("epochs", "between_seconds"), [(6, 12), (60, 24)])
def test_lines_come_after_ten_seconds_or_a_hundredth_of_what_is_left(epochs, between_seconds, caplog, clock):
    callback = costs.RemainingTime(TrainOptions(epochs=epochs, validate_every=epochs), 10, 2)
    trainer = SimpleNamespace(current_epoch=0, num_training_batches=10, is_global_zero=True)
    module = SimpleNamespace(device=torch.device("cpu"))
    told: list[float] = []
    with caplog.at_level(logging.INFO, logger=costs.__name__):
        callback.on_train_epoch_start(trainer, module)
        for batch in range(10):
            clock.go_on(4)
            callback.on_train_batch_end(trainer, module, None, None, batch)
            told += [clock.now] * (len(caplog.records) - len(told))
    assert told == [3 * 4 + between_seconds * number for number in range(len(told))]
    assert len(told) > 1
