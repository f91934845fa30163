import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tasks.errors import BadInput
from tasks.model.backbones import BACKBONES
from tasks.model.crops import Normalise, augmented, centre_offset, crop_offsets, cut_crops

SIDES = st.integers(224, 1000)


def numbered_frames(height: int, width: int) -> np.ndarray:
    """One frame whose red is x // 2 and whose green is y // 2."""
    y, x = np.mgrid[:height, :width] // 2
    return np.stack([x, y, np.zeros_like(x)], -1).astype(np.uint8)[None]


def test_ten_crops_lie_at_tsns_offsets_each_before_its_mirror_image():
    crops = cut_crops(numbered_frames(256, 456), 10)
    assert crops.shape == (10, 1, 3, 224, 224)
    corners = [(int(crop[0, 0, 0, 0]) * 2, int(crop[0, 1, 0, 0]) * 2) for crop in crops[::2]]
    assert corners == [(0, 0), (232, 0), (0, 32), (232, 32), (116, 16)]
    assert torch.equal(crops[1::2], crops[::2].flip(-1))


def test_offsets_are_on_a_grid_of_quarters_where_the_rest_does_not_divide():
    assert crop_offsets(341, 256) == [(0, 0), (116, 0), (0, 32), (116, 32), (58, 16)]


@given(SIDES, SIDES)
def test_every_crop_lies_inside_the_frame(width, height):
    for x, y in [*crop_offsets(width, height), centre_offset(width, height)]:
        assert 0 <= x <= width - 224
        assert 0 <= y <= height - 224


def test_frames_smaller_than_a_crop_are_refused():
    with pytest.raises(BadInput, match="456x200"):
        cut_crops(numbered_frames(200, 456), 10)


def test_augmentation_follows_from_its_seed_and_leaves_torchs_generator_alone():
    frames = np.random.default_rng(0).integers(0, 256, (2, 256, 300, 3), dtype=np.uint8)
    torch.manual_seed(1)
    first = augmented(frames, seed=7)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(1))
    assert first.shape == (2, 3, 224, 224)
    assert first.dtype == torch.uint8
    assert torch.equal(first, augmented(frames, seed=7))
    assert not torch.equal(first, augmented(frames, seed=8))


def test_every_frame_of_a_clip_is_augmented_alike():
    frame = np.random.default_rng(0).integers(0, 256, (1, 256, 300, 3), dtype=np.uint8)
    one, two = augmented(np.concatenate([frame, frame]), seed=3)
    assert torch.equal(one, two)


@pytest.mark.parametrize(
    ("backbone", "expected"),
    [
        ("resnet50", [(1.0 - 0.485) / 0.229, (0 - 0.456) / 0.224, (0 - 0.406) / 0.225]),
        ("bninception", [0 - 104, 0 - 117, 255 - 128]),
        ("tf_efficientnet_lite0", [1, -1, -1]),
    ],
)
def test_pure_red_becomes_what_each_backbone_expects(backbone, expected):
    red = torch.tensor([255, 0, 0], dtype=torch.uint8).view(3, 1, 1)
    normalised = Normalise(BACKBONES[backbone].input)(red).flatten()
    torch.testing.assert_close(normalised, torch.tensor(expected, dtype=torch.float32))
