"""Which licences are warned of, and where."""

import logging
from dataclasses import replace

import pytest
import timm

from tasks.learn.networks import backbones
from tasks.learn.networks.pretrained import NONCOMMERCIAL, PERMISSIVE, build, licence_warning
from tasks.learn.networks.spec import NetworkSpec
from tasks.options import Weights


def test_every_licence_of_the_table_is_one_that_timm_names():
    named = {timm.get_pretrained_cfg(name).license for name in timm.list_pretrained()}
    assert set(NONCOMMERCIAL) | PERMISSIVE <= named
    assert not set(NONCOMMERCIAL) & PERMISSIVE


@pytest.mark.parametrize(
    ("licence", "said"),
    [
        (
            timm.get_pretrained_cfg("convnextv2_atto.fcmae_ft_in1k").license,
            "forbids commercial use: CC BY-NC 4.0, https://creativecommons.org",
        ),
        (timm.get_pretrained_cfg("vit_small_patch16_dinov3.lvd1689m").license, "is dinov3-license, whose terms are not known here"),
        (timm.get_pretrained_cfg("vit_small_patch14_dinov2.lvd142m").license, ""),
        (timm.get_pretrained_cfg("vit_base_patch16_siglip_224.webli").license, ""),
        (backbones.find("videomae-base").licence, "forbids commercial use"),
        (backbones.find("vjepa2-vitl-fpc64-256").licence, ""),
    ],
)
def test_the_licence_that_timm_or_a_video_network_names_is_warned_of(licence, said):
    warning = licence_warning(licence)
    assert said in warning
    assert bool(said) == bool(warning)


@pytest.mark.parametrize(("licence", "is_warned"), [("cc-by-nc-4.0", True), ("apache-2.0", False)])
def test_the_log_and_the_description_for_the_report_warn(monkeypatch, caplog, licence, is_warned):
    row = backbones.find("test_resnet")
    row = replace(row, licence=licence, imagenet=lambda: backbones.Published(row.construct(3).state_dict()))
    monkeypatch.setattr(backbones, "find", lambda _: row)
    with caplog.at_level(logging.WARNING):
        start = build(NetworkSpec(backbone="test_resnet", num_segments=1), Weights.IMAGENET)
    for text in (caplog.text, start.description):
        assert ("forbids commercial use: CC BY-NC 4.0" in text) == is_warned
