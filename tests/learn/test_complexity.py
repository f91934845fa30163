"""Sizes that the literature gives."""

import pytest

from tasks.learn.complexity import complexity
from tasks.learn.spec import Consensus, NetworkSpec
from tasks.options import Family, Modality
from tests.learn.tiny import tiny


def test_a_resnet50_has_23_5_million_parameters_below_its_heads_and_8_2_billion_operations_an_image():
    size, num_classes = complexity([NetworkSpec(backbone="resnet50")], 1), 125 + 352
    assert size.num_parameters - (2048 + 1) * num_classes == 23_508_032
    assert (size.num_flops - 2 * 2048 * num_classes) / 8 == pytest.approx(8.18e9, rel=0.01)


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
