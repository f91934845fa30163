"""What the original experiment's training asks for, each choice by its effect."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tasks.learn.inputs.crops import Augmentation, augmented, cut_crops
from tasks.learn.inputs.data import ClipDataset, ClipKey
from tasks.learn.networks.checkpoints import load
from tasks.learn.networks.heads import Logits
from tasks.learn.networks.network import Network
from tasks.learn.training.fit import TrainOutcome, fit
from tasks.learn.training.job import TrainJob
from tasks.learn.training.module import ActionModule, HeadModule, Learner
from tasks.learn.training.recipe import CrossEntropies
from tasks.options import ORIGINAL, Consensus, Modality, TrainOptions
from tests.learn.tiny import HEADS, job, kept_job, outspoken, tiny

ORIGINAL_CHOICES = ORIGINAL.model_dump(include={"dropout", "batch_norm", "validation_crops", "train_frames", "crop", "mirror"})


def seen_by_the_head(module: Learner, seen: torch.Tensor) -> torch.Tensor:
    """The features that the heads are given."""
    found: list[torch.Tensor] = []
    head = module.network.head if isinstance(module, ActionModule) else module.head
    with head.register_forward_pre_hook(lambda _, given: found.append(given[0])), torch.no_grad():
        module.answer(seen)
    return found[0]


@pytest.mark.parametrize(
    ("trainable", "consensus"), [("all", Consensus.AVERAGE), ("heads", Consensus.AVERAGE), *(("kept features", head) for head in Consensus)]
)
def test_dropout_takes_features_of_every_snippet_from_the_heads_and_none_in_a_test(consensus, trainable):
    network = Network(tiny(num_segments=3, consensus=consensus), seed=1)
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


def norms_of(network: Network) -> list[nn.BatchNorm2d]:
    return [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]


@pytest.mark.parametrize(("batch_norm", "are_others_fixed"), [("first-only", True), ("partial", False)])
def test_the_first_batch_norm_alone_is_updated(clips, tmp_path: Path, batch_norm, are_others_fixed):
    planned = job(tmp_path, clips, epochs=1, learning_rate=0.01, batch_norm=batch_norm)
    before = [{name: tensor.clone() for name, tensor in norm.state_dict().items()} for norm in norms_of(planned.network)]
    fit(planned)
    changed = [
        {name for name, tensor in norm.state_dict().items() if not torch.equal(tensor, old[name])}
        for norm, old in zip(norms_of(planned.network), before, strict=True)
    ]
    assert changed[0] == {"weight", "bias", "running_mean", "running_var", "num_batches_tracked"}
    assert changed[1:] == [set() if are_others_fixed else {"weight", "bias"}] * (len(before) - 1)


def test_middle_frames_are_cropped_anew_in_every_epoch_unless_all_is_fixed_as_in_a_test(clips):
    def images(augmentation: Augmentation) -> list[torch.Tensor]:
        data = ClipDataset(clips, tiny(), lambda view: view.images(tiny()), seed=1, middle_frames=True, augmentation=augmentation)
        return [data[ClipKey(epoch, 2)].inputs for epoch in (0, 1, 2, 3)]

    of_a_test = cut_crops(np.load(clips[2].frames)[[5, 15]], 1, Modality.RGB)[0]
    assert all(torch.equal(image, of_a_test) for image in images(Augmentation("centre", mirror=False)))
    for drawing in (Augmentation(), Augmentation("centre")):
        assert len({image.numpy().tobytes() for image in images(drawing)}) > 1


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


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["whole", "heads", "kept"])
def test_the_epoch_is_chosen_by_the_loss_of_a_test_with_ten_crops(kind, clips, tmp_path: Path):
    def trained(crops: int) -> tuple[TrainJob, TrainOutcome]:
        make, choice = kept_job if kind == "kept" else job, HEADS if kind == "heads" else {}
        planned = make(tmp_path / str(crops), clips, validation_crops=crops, epochs=2, **choice)
        outspoken(planned.network)
        return planned, fit(planned)

    planned, outcome = trained(10)
    losses = [record.val.loss for record in outcome.history]
    assert (outcome.best_epoch, outcome.best_val_loss) == (int(np.argmin(losses)), min(losses))
    assert outcome.best_val_loss == pytest.approx(ten_crop_loss(planned, load(outcome.best).network), rel=1e-5)
    centre = trained(1)[1]
    assert [record.train for record in centre.history] == [record.train for record in outcome.history]
    assert max(abs(record.val.loss - loss) for record, loss in zip(centre.history, losses, strict=True)) > 1e-4


@pytest.mark.slow
def test_the_original_training_shows_every_epoch_the_same_images_and_learns(clips, tmp_path: Path):
    planned = job(tmp_path, clips, **ORIGINAL_CHOICES, epochs=4, batch_size=1, validate_every=2)
    images: list[list[bytes]] = [[]]

    def note(_, given: tuple[torch.Tensor]) -> None:
        if planned.network.training:
            images[-1].append(given[0].numpy().tobytes())

    with planned.network.backbone.register_forward_pre_hook(note):
        outcome = fit(planned, on_epoch=lambda _: images.append([]))
    assert {frozenset(epoch) for epoch in images[:-1]} == {frozenset(images[0])}
    assert len(images[0]) == len(set(images[0])) == 4
    assert [record.val is None for record in outcome.history] == [True, False] * 2
    assert outcome.history[-1].train.loss < outcome.history[0].train.loss
