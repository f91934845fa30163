import pytest
import torch

from tasks.learn import backbones
from tasks.learn.shift import insert_temporal_shift
from tasks.learn.stages import stages_of


def tops(names: list[str]) -> set[str]:
    return {".".join(name.split(".")[:2]) for name in names}


@pytest.mark.parametrize(
    ("backbone", "num_stages", "last"),
    [
        ("resnet50", 5, {"layer4.0", "layer4.1", "layer4.2"}),
        ("tf_efficientnet_lite0", 8, {"blocks.6", "conv_head.weight", "bn2.weight", "bn2.bias"}),
        ("test_resnet", 5, {"layer4.0"}),
        ("vit_tiny_patch16_224", 13, {"blocks.11", "norm.weight", "norm.bias"}),
        ("test_vit", 7, {"blocks.5", "norm.weight", "norm.bias"}),
        pytest.param("vit_small_patch14_dinov2", 13, {"blocks.11", "norm.weight", "norm.bias"}, marks=pytest.mark.slow),
        pytest.param("eva02_tiny_patch14_224", 13, {"blocks.11", "fc_norm.weight", "fc_norm.bias"}, marks=pytest.mark.slow),
        ("mobilenetv4_conv_small", 5, {"blocks.3", "blocks.4", "conv_head.weight", "norm_head.weight", "norm_head.bias"}),
        ("efficientvit_b0", 6, {"stages.3", "head.in_conv", "head.classifier"}),
        ("convnext_atto", 5, {"stages.3", "head.norm"}),
        ("mobilenet_v2", 18, {"features.17", "features.18"}),
        ("shufflenet_v2_x0_5", 4, {"stage4.0", "stage4.1", "stage4.2", "stage4.3", "conv5.0", "conv5.1"}),
    ],
)
def test_the_last_stage_is_what_people_call_so(backbone, num_stages, last):
    with torch.device("meta"):
        module = backbones.find(backbone).construct(3)
    stages = stages_of(module)
    assert len(stages) == num_stages
    assert tops(stages[-1]) == last
    assert sorted(name for stage in stages for name in stage) == sorted(dict(module.named_parameters()))


def test_bn_inceptions_stages_are_its_resolutions():
    stages = stages_of(backbones.find("bninception").construct(3))
    beginnings = [{name.split("_")[0] + "_" + name.split("_")[1][0] for name in stage} for stage in stages]
    assert beginnings[-3:] == [{"inception_3"}, {"inception_4"}, {"inception_5"}]
    assert stages[0][0] == "conv1_7x7_s2.weight"


def test_a_temporal_shift_changes_no_stage():
    with torch.device("meta"):
        module = backbones.find("resnet50").construct(3)
    plain = stages_of(module)
    insert_temporal_shift(module, 8)
    assert [len(stage) for stage in stages_of(module)] == [len(stage) for stage in plain]
