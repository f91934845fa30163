from collections import Counter
from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.transforms.v2 import functional

from tasks.errors import BadInput
from tasks.learn.inputs.crops import Augmentation, Normalise, augmented, centre_offset, crop_offsets, mirrored, multiscale_places
from tasks.learn.networks.backbones import BACKBONES
from tasks.learn.networks.spec import SNIPPETS, snippet_format
from tasks.options import Modality, TrainOptions
from tests.learn.tiny import crops_of

SIDES = st.integers(224, 1000)
MULTI_SCALE = Augmentation("multi-scale")


def numbered_frames(height: int, width: int) -> np.ndarray:
    """One frame whose red is x // 2 and whose green is y // 2."""
    y, x = np.mgrid[:height, :width] // 2
    return np.stack([x, y, np.zeros_like(x)], -1).astype(np.uint8)[None]


def test_ten_crops_lie_at_tsns_offsets_each_before_its_mirror_image_and_smaller_frames_are_refused():
    crops = crops_of(numbered_frames(256, 456), 10)
    assert crops.shape == (10, 1, 3, 224, 224)
    corners = [(int(crop[0, 0, 0, 0]) * 2, int(crop[0, 1, 0, 0]) * 2) for crop in crops[::2]]
    assert corners == [(0, 0), (232, 0), (0, 32), (232, 32), (116, 16)]
    assert torch.equal(crops[1::2], crops[::2].flip(-1))
    assert crop_offsets(341, 256) == [(0, 0), (116, 0), (0, 32), (116, 32), (58, 16)], "quarters of what does not divide are rounded down"
    with pytest.raises(BadInput, match="456x200"):
        crops_of(numbered_frames(200, 456), 10)


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
    views = crops_of(flow, 10, Modality.FLOW)
    for straight, turned in zip(views[::2].flip(-1), views[1::2], strict=True):
        assert torch.equal(turned[:, 0::2], 255 - straight[:, 0::2])
        assert torch.equal(turned[:, 1::2], straight[:, 1::2])


@pytest.mark.parametrize("backbone", ["resnet50", "bninception"])
def test_differences_are_those_of_normalised_frames_in_the_backbones_order_of_colours(backbone):
    image = BACKBONES[backbone].input
    frames = torch.randint(0, 256, (6, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    normalised = Normalise(snippet_format(image, Modality.RGB))(frames)
    differences = Normalise(snippet_format(image, Modality.RGB_DIFFERENCE))(frames.flatten(0, 1))
    torch.testing.assert_close(differences, (normalised[1:] - normalised[:-1]).flatten(0, 1), atol=1e-4, rtol=1e-4)


def mirror_image(images: torch.Tensor, modality: Modality) -> torch.Tensor:
    return torch.from_numpy(mirrored(images.permute(0, 2, 3, 1).numpy(), modality).copy()).permute(0, 3, 1, 2)


def noise(num_frames: int = 2, planes: int = 3) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (num_frames, 256, 300, planes), dtype=np.uint8)


@pytest.mark.parametrize("augmentation", [Augmentation(), MULTI_SCALE, Augmentation("multi-scale", 0.5), Augmentation("resized", 1)])
def test_augmentation_follows_from_its_seed_alike_for_all_frames_and_leaves_torchs_generator_alone(augmentation):
    frames = np.repeat(noise(1), 2, axis=0)
    torch.manual_seed(1)
    drawn = [augmented(frames, seed, Modality.RGB, augmentation) for seed in range(5)]
    number = torch.rand(1)
    torch.manual_seed(1)
    assert torch.equal(number, torch.rand(1))
    for seed, images in enumerate(drawn):
        assert (images.shape, images.dtype) == ((2, 3, 224, 224), torch.uint8)
        assert torch.equal(images[0], images[1])
        assert torch.equal(images, augmented(frames, seed, Modality.RGB, augmentation))
    assert len({images.numpy().tobytes() for images in drawn}) == 5


@pytest.mark.parametrize("augmentation", [Augmentation(), MULTI_SCALE])
def test_half_of_the_augmented_flow_is_mirrored_with_its_motion(augmentation):
    """A field that moves right everywhere moves left everywhere in its mirror image, and up as before."""
    flow = np.full((1, 256, 300, 10), 200, np.uint8)
    seen = {tuple(augmented(flow, seed, Modality.FLOW, augmentation)[0, :2, 0, 0].tolist()) for seed in range(20)}
    assert seen == {(200, 200), (55, 200)}


@pytest.mark.parametrize("modality", [Modality.RGB, Modality.FLOW, Modality.RGB_DIFFERENCE])
def test_multi_scale_crops_have_tsns_sizes_and_places(modality):
    """As GroupMultiScaleCrop of TSN's code draws them from a frame of 340x256."""
    places = multiscale_places(340, 256, SNIPPETS[modality].crop_scales)
    sides = (256, 224, 192, 168) if modality is Modality.RGB else (256, 224, 192)
    near = {pair for pair in product(sides, repeat=2) if abs(sides.index(pair[0]) - sides.index(pair[1])) <= 1}
    counts = Counter((place.width, place.height) for place in places)
    assert counts == dict.fromkeys(near, 13)
    if modality is Modality.RGB:
        of_one_size = {(place.x, place.y) for place in places if (place.width, place.height) == (192, 168)}
        step_x, step_y = (340 - 192) // 4, (256 - 168) // 4
        steps = {*product((0, 2, 4), repeat=2), *product((1, 3), repeat=2)}
        assert of_one_size == {(a * step_x, b * step_y) for a, b in steps}


@given(SIDES, SIDES)
def test_every_multi_scale_crop_lies_inside_the_frame(width, height):
    for place in multiscale_places(width, height, SNIPPETS[Modality.RGB].crop_scales):
        assert 0 <= place.x <= width - place.width
        assert 0 <= place.y <= height - place.height
    assert int(258 * 0.875) == 225
    assert {place.width for place in multiscale_places(500, 258, (1, 0.875))} == {258, 224}, "a side by a hair off is made a crop's"


@pytest.mark.parametrize("modality", [Modality.RGB, Modality.FLOW])
def test_what_is_drawn_is_one_of_these_places_scaled_to_a_crop_or_its_mirror_image(modality):
    """Planes that hold their own column and row tell where a crop came from."""
    y, x = np.mgrid[:256, :300].astype(np.float32)
    frames = np.stack([x * 255 / 299, y * 255 / 255], -1)[None].round().astype(np.uint8)
    planes = torch.from_numpy(frames).permute(0, 3, 1, 2)
    scaled = [
        functional.resized_crop(planes, p.y, p.x, p.height, p.width, [224, 224], antialias=True)
        for p in multiscale_places(300, 256, SNIPPETS[modality].crop_scales)
    ]
    legal = [crop for cut in scaled for crop in (cut, mirror_image(cut, modality))]
    drawn = []
    for seed in range(60):
        image = augmented(frames, seed, modality, MULTI_SCALE)
        drawn.append(next(number for number, crop in enumerate(legal) if torch.equal(crop, image)))
    assert len(set(drawn)) > 30
    assert {number % 2 for number in drawn} == {0, 1}


def test_of_sound_nothing_is_cropped_or_turned():
    kinds = {modality: Augmentation.of(TrainOptions(crop="multi-scale"), modality) for modality in Modality}
    assert all(kind.draws_nothing == modality.is_heard for modality, kind in kinds.items())
    assert kinds[Modality.FLOW] == kinds[Modality.RGB] == kinds[Modality.RGB_DIFFERENCE] == MULTI_SCALE
    assert Augmentation.of(TrainOptions(), Modality.RGB) == Augmentation()


@pytest.mark.parametrize("crop", ["resized", "multi-scale", "centre"])
def test_without_mirror_images_the_crops_are_the_same_and_none_is_mirrored(crop):
    frames = np.broadcast_to(np.linspace(0, 255, 300).astype(np.uint8)[:, None], (1, 256, 300, 3))
    mirrored, plain = (
        [augmented(frames, seed, Modality.RGB, Augmentation(crop, mirror=mirror))[0, 0, 0] for seed in range(20)]
        for mirror in (True, False)
    )
    assert all(row[0] < row[-1] for row in plain)
    assert 0 < sum(bool(row[0] > row[-1]) for row in mirrored) < 20
    assert all(torch.equal(*(row.sort().values for row in rows)) for rows in zip(mirrored, plain, strict=True))
