"""What a registered model takes, and the packages that it needs."""

import pytest
from torch import nn

from tasks.learn.networks.backbones import BACKBONES, find
from tasks.learn.networks.checkpoints import HeadWeights, Saved
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import ClassNames, NetworkSpec
from tasks.options import FlowOptions, Modality, TrainOptions
from tasks.pipeline.retrain.register import _in_tensors, _packages, _tensors
from tasks.store.records.training import Member, Teacher
from tasks.tracking import run_title
from tasks.tracking.registry import MAX_DESCRIPTION, REST_ELSEWHERE, cut_to_fit
from tests.pipeline.shelf import plan_result, weights_result
from tests.records import some

CLASSES = ClassNames(verbs=("put",), nouns=("bag",))


def saved(**changes):
    spec = NetworkSpec(**{"backbone": "test_resnet", "num_segments": 2, "num_verbs": 1, "num_nouns": 1} | changes)
    return Saved((Network(spec),), (HeadWeights(1, 1),), CLASSES)


def test_a_network_of_sound_has_no_tensors_and_one_of_flow_needs_opencv():
    heard = saved(backbone="log-mel", modality=Modality.SOUND)
    assert _tensors(heard) is None
    needs_opencv = [
        "opencv-contrib-python-headless" in _packages(network) for network in (heard, saved(modality=Modality.FLOW, flow=FlowOptions()))
    ]
    assert needs_opencv == [False, True]


def test_the_card_of_a_video_network_names_the_rate_of_the_clips_it_was_trained_on():
    spec = NetworkSpec(backbone="mc3_18", num_segments=5)
    assert "every frame in 2 at 25 frames per second" in _in_tensors(spec, 25)["snippets"]


@pytest.mark.parametrize(
    ("version", "num_train_clips", "options", "title"),
    [
        (3, 55, {"head": "probe", "trainable": "heads", "backbone": "tf_efficientnet_lite0"}, "v3 · probe lite0 · 55 clips"),
        (None, 1, {"backbone": "resnet50", "modality": "flow"}, "TSN resnet50 flow · 1 clip"),
        (None, None, {"family": "TSM", "head": "tcn", "backbone": "vit_base_patch16_clip_224.openai"}, "TSM tcn vit_base_patch16_clip_224"),
        (None, None, {"backbone": "tf_efficientnet_b0.in1k"}, "TSN efficientnet_b0"),
        (None, None, {"backbone": "vit_small_patch14_dinov2.lvd142m"}, "TSN dinov2"),
        (None, None, {"family": "3D", "backbone": "r2plus1d_18"}, "3D r2plus1d_18"),
        (None, 45, {"backbone": "resnet50", "seed": 2}, "TSN resnet50 · 45 clips · seed 2"),
    ],
)
def test_a_run_is_called_by_what_tells_it_from_others(version, num_train_clips, options, title):
    assert run_title(plan_result(train=TrainOptions(**options), num_train_clips=num_train_clips), version) == title


@pytest.mark.parametrize(
    ("name", "num_unlabelled", "told"),
    [("cook version 1", 1200, "cook version 1 · 4 clips · 1,200 unlabelled"), ("runs/a/", 0, "runs/a/ · 4 clips")],
)
def test_a_student_is_called_by_its_teacher_and_the_clips_that_taught_it(name, num_unlabelled, told):
    teacher = some(Teacher, name=name, num_unlabelled=num_unlabelled)
    plan = plan_result(train=TrainOptions(backbone="resnet50"), num_train_clips=4, teacher=teacher)
    assert run_title(plan) == f"TSN resnet50 · student of {told}"


def test_a_fusion_is_called_by_its_number_of_networks():
    plan = plan_result(num_train_clips=1000, weights=weights_result(members=(some(Member),) * 2))
    assert run_title(plan) == "fusion of 2 networks · 1,000 clips"


@pytest.mark.parametrize("head", ["## Scores\n\n| name |\n| --- |\n", "- a rule\n"])
def test_a_description_that_is_too_long_ends_after_a_paragraph_and_says_where_the_rest_is(head):
    short = "x" * (MAX_DESCRIPTION - 200) + "\n\n"
    assert cut_to_fit(short) == short
    assert cut_to_fit(short + head + "| row |\n" * 99) == short.rstrip() + REST_ELSEWHERE
    assert len(cut_to_fit("x" * 2 * MAX_DESCRIPTION)) == MAX_DESCRIPTION


class Moody(nn.Module):
    """A backbone that cannot be traced, because the way through it depends on the picture."""

    def __init__(self, backbone):
        super().__init__()
        self.backbone = backbone

    def forward(self, images):
        features = self.backbone(images)
        return features if features.sum() > 0 else -features


@pytest.mark.slow
@pytest.mark.parametrize(("is_moody", "is_in_table"), [(False, False), (True, False), (True, True)])
def test_a_network_that_cannot_be_exported_is_registered_without_tensors(caplog, monkeypatch, is_moody, is_in_table):
    made = saved()
    if is_in_table:
        monkeypatch.setitem(BACKBONES, "test_resnet", find("test_resnet"))
    if is_moody:
        made.network.backbone = Moody(made.network.backbone)
    assert (_tensors(made) is None) == is_moody
    assert ("cannot be exported" in caplog.text) == is_moody
