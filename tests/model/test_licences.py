"""Which licences are warned of, and where."""

import logging
from dataclasses import replace

import pytest
import timm

from tasks.model import backbones
from tasks.model.licences import NONCOMMERCIAL, PERMISSIVE, licence_warning
from tasks.model.pretrained import build
from tasks.model.spec import NetworkSpec
from tasks.options import Weights


def test_every_licence_of_the_table_is_one_that_timm_names():
    named = {timm.get_pretrained_cfg(name).license for name in timm.list_pretrained()}
    assert set(NONCOMMERCIAL) | PERMISSIVE <= named
    assert not set(NONCOMMERCIAL) & PERMISSIVE


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("convnextv2_atto.fcmae_ft_in1k", "forbids commercial use: CC BY-NC 4.0, https://creativecommons.org"),
        ("vit_small_patch16_dinov3.lvd1689m", "is dinov3-license, whose terms are not known here"),
        ("vit_small_patch14_dinov2.lvd142m", ""),
        ("vit_base_patch16_siglip_224.webli", ""),
        ("eva02_tiny_patch14_224.mim_in22k", ""),
    ],
)
def test_the_licence_that_timm_names_is_warned_of(name, said):
    warning = licence_warning(timm.get_pretrained_cfg(name).license)
    assert said in warning
    assert bool(said) == bool(warning)


@pytest.mark.parametrize(("name", "is_warned"), [("videomae-base", True), ("vjepa2-vitl-fpc64-256", False)])
def test_the_licence_of_a_video_network_is_warned_of(name, is_warned):
    assert ("forbids commercial use" in licence_warning(backbones.find(name).licence)) == is_warned


@pytest.mark.parametrize(("licence", "is_warned"), [("cc-by-nc-4.0", True), ("apache-2.0", False)])
def test_the_log_and_the_description_for_the_report_warn(monkeypatch, caplog, licence, is_warned):
    row = backbones.find("test_resnet")
    row = replace(row, licence=licence, imagenet=lambda: backbones.Published(row.construct(3).state_dict()))
    monkeypatch.setattr(backbones, "find", lambda _: row)
    with caplog.at_level(logging.WARNING):
        start = build(NetworkSpec(backbone="test_resnet", num_segments=1), Weights.IMAGENET)
    for text in (caplog.text, start.description):
        assert ("forbids commercial use: CC BY-NC 4.0" in text) == is_warned
