"""Sizes that the literature gives."""

import pytest

from tasks.model.complexity import complexity
from tasks.model.spec import FAMILIES, Consensus, NetworkSpec
from tasks.options import Family, Modality

pytestmark = pytest.mark.slow


def spec(family=Family.TSN, **changes):
    consensus, shift = FAMILIES[family]
    return NetworkSpec(**{"backbone": "resnet50", "num_segments": 8, "consensus": consensus, "temporal_shift": shift} | changes)


def test_a_resnet50_has_23_5_million_parameters_below_its_heads_and_8_2_billion_operations_an_image():
    found = complexity([spec()], 1)
    heads = 2048 * (125 + 352) + 125 + 352
    assert found.num_parameters - heads == 23_508_032
    assert (found.num_flops - 2 * 2048 * (125 + 352)) / 8 == pytest.approx(8.18e9, rel=0.01)


def test_ten_crops_are_ten_backbones_and_one_linear_head():
    small = spec(backbone="test_resnet")
    one, ten = complexity([small], 1), complexity([small], 10)
    head = 2 * 96 * (125 + 352)
    assert ten.num_flops - head == 10 * (one.num_flops - head)


@pytest.mark.parametrize("consensus", [one for one in Consensus if one is not Consensus.AVERAGE])
def test_a_head_that_relates_segments_answers_to_every_crop(consensus):
    small = spec(backbone="test_resnet", num_segments=3, consensus=consensus)
    assert complexity([small], 10).num_flops == 10 * complexity([small], 1).num_flops


def test_a_shift_costs_nothing_and_several_networks_cost_their_sum():
    tsn, tsm = (spec(family, backbone="test_resnet") for family in (Family.TSN, Family.TSM))
    flow = spec(backbone="test_resnet", modality=Modality.FLOW)
    assert complexity([tsm], 1) == complexity([tsn], 1)
    both = complexity([tsn, flow], 1)
    assert both.num_flops == complexity([tsn], 1).num_flops + complexity([flow], 1).num_flops
    assert complexity([flow], 1).num_parameters > complexity([tsn], 1).num_parameters
