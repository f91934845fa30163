"""Sizes that the literature gives."""

from itertools import accumulate, chain

import pytest
import torch

from tasks.errors import BadConfiguration
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import NetworkSpec
from tasks.learn.training import costs
from tasks.learn.training.costs import clip_seconds, complexity, time_batch
from tasks.options import Consensus, Family, Modality, TrainOptions
from tests.learn.inputs.test_clip_files import SOUND
from tests.learn.tiny import tiny


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


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named(tiny_network: Network):
    with pytest.raises(BadConfiguration, match="finds no GPU"):
        clip_seconds(tiny_network, 1, "cuda")


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
