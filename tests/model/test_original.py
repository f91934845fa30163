"""What the original experiment's training asks for, each choice by its effect."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tasks.model.augmentation import Augmentation, augmented
from tasks.model.checkpoints import load
from tasks.model.consensus import Logits
from tasks.model.crops import centre_offset, cut_crops
from tasks.model.data import CachedClip, ClipDataset, ClipKey, View
from tasks.model.job import TrainJob
from tasks.model.losses import CrossEntropies
from tasks.model.module import ActionModule, HeadModule, Learner
from tasks.model.network import Network
from tasks.model.spec import Consensus, NetworkSpec
from tasks.model.training import TrainOutcome, fit
from tasks.options import ORIGINAL, Modality, TrainOptions
from tests.model.test_training import job

FIXED = {"train_frames": "middle", "crop": "centre", "mirror": False}
ORIGINAL_CHOICES = ORIGINAL.model_dump(include={"dropout", "batch_norm", "validation_crops", *FIXED})


def seen_by_the_head(module: Learner, seen: torch.Tensor) -> torch.Tensor:
    """The features that the heads are given."""
    found: list[torch.Tensor] = []
    head = module.network.head if isinstance(module, ActionModule) else module.head
    with head.register_forward_pre_hook(lambda _, given: found.append(given[0])), torch.no_grad():
        module.answer(seen)
    return found[0]


@pytest.mark.parametrize("trainable", ["all", "heads", "kept features"])
@pytest.mark.parametrize("consensus", Consensus)
def test_dropout_takes_features_of_every_snippet_from_the_heads_and_none_in_a_test(consensus, trainable):
    network = Network(NetworkSpec(backbone="test_resnet", num_segments=3, num_verbs=5, num_nouns=4, consensus=consensus), seed=1)
    options = TrainOptions(dropout=0.7, trainable="all" if trainable == "all" else "heads", batch_norm="frozen")
    module = (HeadModule if trainable == "kept features" else ActionModule)(network, options, [])
    torch.manual_seed(0)
    images = torch.randn(4, 3, 3, 224, 224)
    with torch.no_grad():
        features = network.eval().features(images)
    seen = images if trainable == "all" else features
    dropped = seen_by_the_head(module.train(), seen)
    is_kept = dropped != 0
    torch.testing.assert_close(dropped[is_kept], features[is_kept] / 0.3)
    all_but_segments = (0, *range(2, features.ndim))
    shares = is_kept.sum(all_but_segments) / (features != 0).sum(all_but_segments)
    assert shares.tolist() == pytest.approx([0.3] * 3, abs=0.1)
    assert not torch.equal(is_kept[:, 0], is_kept[:, 1])
    torch.testing.assert_close(seen_by_the_head(module.eval(), seen), features)


def norms(network: Network) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize(("batch_norm", "num_learning"), [("first-only", 1), ("partial", None)])
def test_the_first_batch_norm_alone_is_updated(clips, tmp_path: Path, batch_norm, num_learning):
    planned = job(tmp_path, clips, epochs=1, learning_rate=0.01, batch_norm=batch_norm)
    before = [{name: tensor.clone() for name, tensor in norm.state_dict().items()} for norm in norms(planned.network)]
    fit(planned)
    changed = [
        {name for name, tensor in norm.state_dict().items() if not torch.equal(tensor, old[name])}
        for norm, old in zip(norms(planned.network), before, strict=True)
    ]
    assert changed[0] == {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    assert changed[1:] == [set() if num_learning else {"weight", "bias"}] * (len(before) - 1)


@pytest.fixture
def numbered(tmp_path: Path) -> list[CachedClip]:
    """A clip of 20 frames, each of its own grey."""
    path = tmp_path / "numbered.npy"
    np.save(path, np.broadcast_to(np.arange(20, dtype=np.uint8)[:, None, None, None], (20, 256, 300, 3)))
    return [CachedClip(path, 0, 0)]


def shown(clips: list[CachedClip], spec: NetworkSpec, **choice) -> ClipDataset:
    return ClipDataset(clips, spec, lambda view: view.images(spec), seed=1, **choice)


def test_middle_frames_are_those_of_a_test_in_every_epoch(numbered, tiny_spec):
    def frames(**choice) -> set[tuple[int, ...]]:
        data = shown(numbered, tiny_spec, **choice)
        return {tuple(data[ClipKey(epoch, 0)].inputs[:, 0, 0, 0].tolist()) for epoch in range(12)}

    assert frames(middle_frames=True) == {(5, 15)}
    assert len(frames()) > 3


def test_middle_frames_are_cropped_anew_in_every_epoch_unless_all_is_fixed(clips, tiny_spec):
    def images(augmentation: Augmentation) -> list[torch.Tensor]:
        data = shown(clips, tiny_spec, middle_frames=True, augmentation=augmentation)
        return [data[ClipKey(epoch, 2)].inputs for epoch in (0, 1, 2, 3)]

    fixed = images(Augmentation("centre", mirror=False))
    assert all(torch.equal(image, View(clips[2].frames).images(tiny_spec)) for image in fixed)
    for drawing in (Augmentation(), Augmentation("centre"), Augmentation("centre", 0.5, mirror=False)):
        assert len({image.numpy().tobytes() for image in images(drawing)}) > 1


def test_the_centre_crop_is_that_of_a_test():
    frames = np.random.default_rng(0).integers(0, 256, (2, 256, 301, 3), dtype=np.uint8)
    centre = augmented(frames, 3, Modality.RGB, Augmentation("centre", mirror=False))
    assert torch.equal(centre, cut_crops(frames, 1, Modality.RGB)[0])
    x, y = centre_offset(301, 256)
    assert torch.equal(centre, torch.from_numpy(frames[:, y : y + 224, x : x + 224]).permute(0, 3, 1, 2))


@pytest.mark.parametrize("crop", ["resized", "multi-scale", "centre"])
def test_without_mirror_images_the_crops_are_the_same_and_none_is_mirrored(crop):
    frames = np.broadcast_to(np.linspace(0, 255, 300).astype(np.uint8)[:, None], (1, 256, 300, 3))
    mirrored, plain = (
        [augmented(frames, seed, Modality.RGB, Augmentation(crop, mirror=mirror))[0, 0, 0] for seed in range(20)]
        for mirror in (True, False)
    )
    assert all(row[0] < row[-1] for row in plain)
    assert 0 < sum(bool(row[0] > row[-1]) for row in mirrored) < 20
    assert all(torch.equal(one.sort().values, other.sort().values) for one, other in zip(mirrored, plain, strict=True))


def ten_crop_loss(planned: TrainJob, network: Network) -> float:
    """The loss of val as a test sees it: the cross-entropy of the logits' mean over ten crops."""
    module = ActionModule(network, planned.options, []).eval()
    losses = []
    for clip in planned.val:
        crops = cut_crops(np.load(clip.frames)[[5, 15]], 10, Modality.RGB)
        with torch.no_grad():
            logits = Logits(*(found.mean(0, keepdim=True) for found in module.network(module.normalise(crops))))
        losses.append(CrossEntropies()(logits, torch.tensor([clip.verb]), torch.tensor([clip.noun])).total)
    return float(torch.cat(losses).mean())


def outspoken(planned: TrainJob) -> TrainJob:
    with torch.no_grad():
        for head in (planned.network.head.fc_verb, planned.network.head.fc_noun):
            head.weight.mul_(1000)
    return planned


@pytest.mark.slow
@pytest.mark.parametrize("choice", [{}, {"trainable": "heads"}, {"trainable": "heads", "kept": True}], ids=["whole", "heads", "kept"])
def test_the_epoch_is_chosen_by_the_loss_of_a_test_with_ten_crops(choice, clips, tmp_path: Path):
    def trained(crops: int) -> tuple[TrainJob, TrainOutcome]:
        options = {name: value for name, value in choice.items() if name != "kept"}
        planned = outspoken(job(tmp_path / str(crops), clips, validation_crops=crops, epochs=3, **options))
        planned = replace(planned, features=tmp_path / "features" if choice.get("kept") else None)
        return planned, fit(planned)

    planned, outcome = trained(10)
    losses = [record.val.loss for record in outcome.history]
    assert (outcome.best_epoch, outcome.best_val_loss) == (int(np.argmin(losses)), min(losses))
    assert outcome.best_val_loss == pytest.approx(ten_crop_loss(planned, load(outcome.best).network), rel=1e-5)
    centre = trained(1)[1]
    assert [record.train for record in centre.history] == [record.train for record in outcome.history]
    assert max(abs(record.val.loss - loss) for record, loss in zip(centre.history, losses, strict=True)) > 1e-4


def test_the_features_of_ten_crops_are_kept_beside_those_of_the_centre_and_of_the_fixed_view(clips, tmp_path: Path):
    def num_passes(name: str, **choice) -> int:
        planned = replace(job(tmp_path / name, clips, trainable="heads", feature_variants=2, **choice), features=tmp_path / "features")
        passes: list[None] = []
        planned.network.backbone.register_forward_hook(lambda *_: passes.append(None))
        fit(planned)
        return len(passes)

    assert num_passes("centre") == 4 * 2 + 2
    assert num_passes("ten", validation_crops=10) == 2 * 10
    assert num_passes("again", validation_crops=10, dropout=0.5) == 0
    assert num_passes("fixed", validation_crops=10, **FIXED) == 4


@pytest.mark.slow
def test_the_original_training_shows_every_epoch_the_same_images_and_learns(clips, tmp_path: Path):
    planned = job(tmp_path, clips, **ORIGINAL_CHOICES, epochs=6, learning_rate=1e-3, batch_size=1, validate_every=2)
    images: list[list[bytes]] = [[]]

    def note(_, given: tuple[torch.Tensor]) -> None:
        if planned.network.training:
            images[-1].append(given[0].numpy().tobytes())

    with planned.network.backbone.register_forward_pre_hook(note):
        outcome = fit(planned, on_epoch=lambda _: images.append([]))
    assert {frozenset(epoch) for epoch in images[:-1]} == {frozenset(images[0])}
    assert len(images[0]) == len(set(images[0])) == 4
    assert [record.val is None for record in outcome.history] == [True, False] * 3
    assert outcome.history[-1].train.loss < outcome.history[0].train.loss
