from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional

from tasks.model.augmentation import SCALES, Augmentation, augmented, multiscale_places
from tasks.model.crops import mirrored
from tasks.options import Modality, TrainOptions

MULTI_SCALE = Augmentation("multi-scale")
SIDES = st.integers(224, 1000)


def mirror_image(images: torch.Tensor, modality: Modality) -> torch.Tensor:
    return torch.from_numpy(mirrored(images.permute(0, 2, 3, 1).numpy(), modality).copy()).permute(0, 3, 1, 2)


def noise(num_frames: int = 2, planes: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (num_frames, 256, 300, planes), dtype=np.uint8)


@pytest.mark.parametrize("augmentation", [Augmentation(), MULTI_SCALE, Augmentation("multi-scale", 0.5)])
def test_augmentation_follows_from_its_seed_and_leaves_torchs_generator_alone(augmentation):
    torch.manual_seed(1)
    first = augmented(noise(), 7, Modality.RGB, augmentation)
    drawn = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(drawn, torch.rand(1))
    assert first.shape == (2, 3, 224, 224)
    assert first.dtype == torch.uint8
    assert torch.equal(first, augmented(noise(), 7, Modality.RGB, augmentation))
    assert not torch.equal(first, augmented(noise(), 8, Modality.RGB, augmentation))


@pytest.mark.parametrize("augmentation", [Augmentation(), MULTI_SCALE, Augmentation("resized", 1)])
@pytest.mark.parametrize("seed", range(5))
def test_every_frame_of_a_clip_is_augmented_alike(augmentation, seed):
    frame = noise(1)
    one, two = augmented(np.concatenate([frame, frame]), seed, Modality.RGB, augmentation)
    assert torch.equal(one, two)


@pytest.mark.parametrize("augmentation", [Augmentation(), MULTI_SCALE])
def test_half_of_the_augmented_flow_is_mirrored_with_its_motion(augmentation):
    """A field that moves right everywhere moves left everywhere in its mirror image, and up as before."""
    flow = np.full((1, 256, 300, 10), 200, np.uint8)
    seen = {tuple(augmented(flow, seed, Modality.FLOW, augmentation)[0, :2, 0, 0].tolist()) for seed in range(20)}
    assert seen == {(200, 200), (55, 200)}


@pytest.mark.parametrize(
    ("modality", "sizes"),
    [
        (Modality.RGB, {(256, 256), (256, 224), (224, 256), (224, 224), (224, 192), (192, 224), (192, 192), (192, 168), (168, 192), (168, 168)}),
        (Modality.FLOW, {(256, 256), (256, 224), (224, 256), (224, 224), (224, 192), (192, 224), (192, 192)}),
        (Modality.RGB_DIFFERENCE, {(256, 256), (256, 224), (224, 256), (224, 224), (224, 192), (192, 224), (192, 192)}),
    ],
)  # fmt: skip
def test_multi_scale_crops_have_tsns_sizes_and_places(modality, sizes):
    """As GroupMultiScaleCrop of TSN's code draws them from a frame of 340x256."""
    places = multiscale_places(340, 256, SCALES[modality])
    assert {(place.width, place.height) for place in places} == sizes
    assert set(Counter((place.width, place.height) for place in places).values()) == {13}
    of_one_size = {(place.x, place.y) for place in places if (place.width, place.height) == (192, 168)}
    if modality is Modality.RGB:
        step_x, step_y = (340 - 192) // 4, (256 - 168) // 4
        corners_and_middles = {(a * step_x, b * step_y) for a, b in product((0, 2, 4), repeat=2)}
        assert of_one_size == corners_and_middles | {(a * step_x, b * step_y) for a, b in product((1, 3), repeat=2)}


@given(SIDES, SIDES)
def test_every_multi_scale_crop_lies_inside_the_frame(width, height):
    for place in multiscale_places(width, height, SCALES[Modality.RGB]):
        assert 0 <= place.x <= width - place.width
        assert 0 <= place.y <= height - place.height


def test_a_side_by_a_hair_off_is_made_a_crops():
    assert {place.width for place in multiscale_places(500, 258, (1, 0.875))} == {258, 224}
    assert int(258 * 0.875) == 225


@pytest.mark.parametrize("modality", SCALES)
def test_what_is_drawn_is_one_of_these_places_scaled_to_a_crop_or_its_mirror_image(modality):
    """Planes that hold their own column and row tell where a crop came from."""
    y, x = np.mgrid[:256, :300].astype(np.float32)
    frames = np.stack([x * 255 / 299, y * 255 / 255], -1)[None].round().astype(np.uint8)
    planes = torch.from_numpy(frames).permute(0, 3, 1, 2)
    scaled = [
        functional.resized_crop(planes, p.y, p.x, p.height, p.width, [224, 224], antialias=True)
        for p in multiscale_places(300, 256, SCALES[modality])
    ]
    legal = [crop for cut in scaled for crop in (cut, mirror_image(cut, modality))]
    drawn = []
    for seed in range(60):
        image = augmented(frames, seed, modality, MULTI_SCALE)
        drawn.append(next(number for number, crop in enumerate(legal) if torch.equal(crop, image)))
    assert len(set(drawn)) > 30
    assert {number % 2 for number in drawn} == {0, 1}


@pytest.mark.slow
@pytest.mark.parametrize(("modality", "planes"), [(Modality.RGB, 3), (Modality.RGB_DIFFERENCE, 18)])
def test_jitter_changes_all_frames_of_a_clip_by_one_draw_and_nothing_else(modality, planes):
    grey = np.full((2, 256, 300, planes), 100, np.uint8)
    values = []
    for seed in range(30):
        jittered = augmented(grey, seed, modality, Augmentation("resized", 0.4))
        assert len(jittered.unique()) == 1
        values.append(int(jittered[0, 0, 0, 0]))
    # Grey has no contrast and no saturation: what is left is brightness.
    assert 60 <= min(values) < 70
    assert 130 < max(values) <= 140
    plain, jittered = (augmented(noise(2, planes), 3, modality, Augmentation("resized", jitter)) for jitter in (0, 0.01))
    difference = (plain.int() - jittered.int()).abs()
    assert difference.float().mean() > 0
    assert difference.max() < 12


def test_of_sound_nothing_is_cropped_turned_or_coloured():
    options = TrainOptions(color_jitter=0.5, crop="multi-scale")
    assert all(Augmentation.of(options, modality).draws_nothing for modality in Modality if modality.is_heard)


def test_jitter_leaves_flow_alone():
    options = TrainOptions(color_jitter=0.5, crop="multi-scale")
    assert Augmentation.of(options, Modality.FLOW) == MULTI_SCALE
    assert Augmentation.of(options, Modality.RGB) == Augmentation("multi-scale", 0.5)
    assert Augmentation.of(options, Modality.RGB_DIFFERENCE) == Augmentation("multi-scale", 0.5)
    assert Augmentation.of(TrainOptions(), Modality.RGB) == Augmentation()
