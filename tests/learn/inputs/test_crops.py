import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadInput
from tasks.learn.inputs.crops import Normalise, centre_offset, crop_offsets, cut_crops
from tasks.learn.networks.backbones import BACKBONES
from tasks.learn.networks.spec import snippet_format
from tasks.options import Modality

SIDES = st.integers(224, 1000)


def numbered_frames(height: int, width: int) -> np.ndarray:
    """One frame whose red is x // 2 and whose green is y // 2."""
    y, x = np.mgrid[:height, :width] // 2
    return np.stack([x, y, np.zeros_like(x)], -1).astype(np.uint8)[None]


def test_ten_crops_lie_at_tsns_offsets_each_before_its_mirror_image_and_smaller_frames_are_refused():
    crops = cut_crops(numbered_frames(256, 456), 10, Modality.RGB)
    assert crops.shape == (10, 1, 3, 224, 224)
    corners = [(int(crop[0, 0, 0, 0]) * 2, int(crop[0, 1, 0, 0]) * 2) for crop in crops[::2]]
    assert corners == [(0, 0), (232, 0), (0, 32), (232, 32), (116, 16)]
    assert torch.equal(crops[1::2], crops[::2].flip(-1))
    assert crop_offsets(341, 256) == [(0, 0), (116, 0), (0, 32), (116, 32), (58, 16)], "quarters of what does not divide are rounded down"
    with pytest.raises(BadInput, match="456x200"):
        cut_crops(numbered_frames(200, 456), 10, Modality.RGB)


@given(SIDES, SIDES)
def test_every_crop_lies_inside_the_frame(width, height):
    for x, y in [*crop_offsets(width, height), centre_offset(width, height)]:
        assert 0 <= x <= width - 224
        assert 0 <= y <= height - 224


@pytest.mark.parametrize(
    ("backbone", "modality", "planes", "expected"),
    [
        ("resnet50", Modality.RGB, [255, 0, 0], [(1.0 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0 - 0.406) / 0.225]),
        ("bninception", Modality.RGB, [255, 0, 0], [0 - 104, 0 - 117, 255 - 128]),
        ("tf_efficientnet_lite0", Modality.RGB, [255, 0, 0], [1, -1, -1]),
        ("resnet50", Modality.FLOW, [0, 255] * 5, [-0.5 / 0.226, 0.5 / 0.226] * 5),
        ("bninception", Modality.FLOW, [0, 255] * 5, [-128, 127] * 5),
    ],
)
def test_pure_red_and_the_fastest_motion_become_what_each_backbone_expects(backbone, modality, planes, expected):
    image = torch.tensor(planes, dtype=torch.uint8).view(-1, 1, 1)
    normalised = Normalise(snippet_format(BACKBONES[backbone].input, modality))(image).flatten()
    torch.testing.assert_close(normalised, torch.tensor(expected, dtype=torch.float32), rtol=1e-3, atol=1e-3)


def test_the_mirror_image_of_flow_moves_the_other_way_along_x_alone():
    flow = np.random.default_rng(0).integers(0, 256, (1, 256, 300, 10), dtype=np.uint8)
    views = cut_crops(flow, 10, Modality.FLOW)
    for straight, mirrored in zip(views[::2].flip(-1), views[1::2], strict=True):
        assert torch.equal(mirrored[:, 0::2], 255 - straight[:, 0::2])
        assert torch.equal(mirrored[:, 1::2], straight[:, 1::2])


@pytest.mark.parametrize("backbone", ["resnet50", "bninception"])
def test_differences_are_those_of_normalised_frames_in_the_backbones_order_of_colours(backbone):
    image = BACKBONES[backbone].input
    frames = torch.randint(0, 256, (6, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    normalised = Normalise(snippet_format(image, Modality.RGB))(frames)
    differences = Normalise(snippet_format(image, Modality.RGB_DIFFERENCE))(frames.flatten(0, 1))
    torch.testing.assert_close(differences, (normalised[1:] - normalised[:-1]).flatten(0, 1), atol=1e-4, rtol=1e-4)
