"""A video network is trained, resumed, stored, scored and looked into like any other."""

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import cross_entropy

from tasks.errors import Unavailable
from tasks.model.augmentation import Augmentation
from tasks.model.checkpoints import Saved, load, save
from tasks.model.class_names import ClassNames
from tasks.model.complexity import complexity
from tasks.model.consensus import Logits
from tasks.model.crops import Normalise, cut_crops
from tasks.model.data import CachedClip, View
from tasks.model.engines.engine import prepare
from tasks.model.engines.openvino import OpenvinoEngine
from tasks.model.engines.parity import check
from tasks.model.engines.pytorch import PytorchEngine
from tasks.model.engines.scorer import Scorer
from tasks.model.explain import NothingToSee, activation_sheet, video_heat
from tasks.model.feature_cache import FeatureMemory
from tasks.model.features import training_features
from tasks.model.job import JoinedNetwork, TrainJob, joint_spec
from tasks.model.network import Network
from tasks.model.parts import head_parts, image_parts, views_of
from tasks.model.pretrained import build
from tasks.model.snippets import read_snippets
from tasks.model.spec import NetworkSpec
from tasks.model.stages import stages_of
from tasks.model.timing import time_batch
from tasks.model.training import fit
from tasks.model.trials import TrialJob, prepare_head_trial, run_head_trial
from tasks.options import Modality, TrainOptions, Weights
from tasks.video_networks import VIDEO_NETWORKS
from tests.model.tiny_video import TINY_VIDEO, tiny_video_network

CLASSES = ClassNames(verbs=("put", "take", "move"), nouns=("bag", "meat"))
SPEC = NetworkSpec(backbone=TINY_VIDEO.name, num_segments=TINY_VIDEO.num_views, num_verbs=3, num_nouns=2)


@pytest.fixture(scope="module", autouse=True)
def tiny_video() -> Iterator[None]:
    with tiny_video_network():
        yield


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[CachedClip]:
    """Six clips of noise at the network's own rate; 12 frames are as many as those of all its views."""
    folder = tmp_path_factory.mktemp("frames")
    rng = np.random.default_rng(0)
    made = []
    for i, num_frames in enumerate((12, 12, 9, 20, 3, 12)):
        path = folder / f"{i}.npy"
        np.save(path, rng.integers(0, 256, (num_frames, 256, 300, 3), dtype=np.uint8))
        made.append(CachedClip(path, verb=i % 3, noun=i % 2))
    return made


def job(folder: Path, clips: list[CachedClip], features: Path | None = None, **choice) -> TrainJob:
    options = TrainOptions.model_validate(
        {"family": "3D", "backbone": TINY_VIDEO.name, "epochs": 2, "learning_rate": 1e-3, "batch_size": 2, **choice}
    )
    return TrainJob(Network(SPEC, seed=1), CLASSES, clips[:4], clips[4:], options, folder, device="cpu", features=features)


def test_a_test_shows_all_views_and_a_training_step_one(tmp_path, clips):
    _, train, val = image_parts(job(tmp_path, clips, validation_crops=10), "cpu")
    assert next(iter(train)).inputs.shape == (2, 1, 12, 32, 32)
    assert next(iter(val)).inputs.shape == (2, 3, 12, 32, 32)
    with_frozen = job(tmp_path, clips, trainable="heads")
    assert {view.images(SPEC).shape for view in views_of(with_frozen)} == {(3, 12, 32, 32)}
    _, train, _ = head_parts(with_frozen, "cpu", lambda view: torch.zeros(3, 128))
    assert next(iter(train)).inputs.shape == (2, 3, 128)


@pytest.mark.parametrize("trainable", ["all", "heads"])
def test_where_the_backbone_does_not_learn_one_clip_at_a_time_is_normalised(tmp_path, clips, trainable):
    module, _, val = image_parts(job(tmp_path, clips, trainable=trainable), "cpu")
    inputs = next(iter(val)).inputs
    module.eval()
    expected = module.network(module.normalise(inputs))
    sizes = []
    module.normalise.register_forward_hook(lambda _, __, output: sizes.append(len(output)))
    with torch.set_grad_enabled(trainable == "heads"):
        found = module.answer(module.see(inputs))
    assert sizes == [1, 1]
    torch.testing.assert_close(found.verb, expected.verb, rtol=1e-4, atol=1e-5)


def test_the_frames_of_a_view_follow_one_another(clips):
    frames = np.load(clips[0].frames)
    snippets = read_snippets(clips[0].frames, SPEC)
    for snippet, start in zip(snippets, (0, 4, 8), strict=True):
        np.testing.assert_array_equal(snippet[..., 3:6], frames[start + 1])
    drawn = {bytes(view.images(SPEC)[0, :3, 0, 0].numpy()) for view in (View(clips[0].frames, 0, number) for number in range(20))}
    assert len(drawn) > 10


@pytest.mark.parametrize("crop", ["resized", "multi-scale", "centre"])
def test_every_training_crop_has_the_networks_size(clips, crop):
    view = View(clips[0].frames, 0, 1, Augmentation(crop, 0.2))
    assert view.images(SPEC).shape == (3, 12, 32, 32)
    assert torch.equal(view.images(SPEC), view.images(SPEC))


@pytest.mark.parametrize(
    "choice",
    [
        {},
        {"trainable": "last-stage", "batch_norm": "frozen"},
        {"batch_norm": "train", "layer_decay": 0.5, "mixup": 0.3, "ema_decay": 0.9},
        {"trainable": "heads"},
    ],
    ids=["all", "last-stage", "train", "heads"],
)
def test_an_interrupted_training_ends_as_an_undisturbed_one(tmp_path, clips, choice):
    class Stop(Exception):
        pass

    def stop(files):
        raise Stop

    whole = fit(job(tmp_path / "whole", clips, tmp_path / "features", **choice))
    with pytest.raises(Stop):
        fit(job(tmp_path / "parts", clips, tmp_path / "features", **choice), on_epoch=stop)
    resumed = fit(job(tmp_path / "parts", clips, tmp_path / "features", **choice))
    assert (tmp_path / "whole/best.pt").read_bytes() == (tmp_path / "parts/best.pt").read_bytes()
    assert [replace(one, seconds=0) for one in whole.history] == [replace(one, seconds=0) for one in resumed.history]
    before, after = Network(SPEC, seed=1), load(whole.best).network
    changed = [key for key, value in before.state_dict().items() if not torch.equal(value, after.state_dict()[key])]
    if choice.get("trainable") == "heads":
        assert all(key.startswith("head.") for key in changed)
    elif choice.get("trainable") == "last-stage":
        assert {key.split(".")[1] for key in changed if key.startswith("backbone")} == {"layer2"}
    else:
        assert any(key.startswith("backbone.stem") for key in changed)


def test_cached_features_score_as_the_network_does(tmp_path, clips):
    frozen = job(tmp_path / "run", clips, tmp_path / "features", trainable="heads")
    network = Network(SPEC, seed=1).eval()
    trial = TrialJob(frozen, 10)
    ready = prepare_head_trial(trial)
    kept = ready.trained.read(View(clips[4].frames).name)
    with torch.inference_mode():
        seen = Normalise(network.input_format)(cut_crops(read_snippets(clips[4].frames, SPEC), 1, Modality.RGB, video=TINY_VIDEO))
        torch.testing.assert_close(kept, network.features(seen)[0], rtol=1e-4, atol=1e-5)
    assert run_head_trial(ready, FeatureMemory(2**20)).loss > 0


def test_features_of_another_rate_or_size_are_not_taken(tmp_path, monkeypatch):
    folders = set()
    for changes in ({}, {"frame_stride": 4}, {"resize": (36,)}):
        monkeypatch.setitem(VIDEO_NETWORKS, TINY_VIDEO.name, replace(TINY_VIDEO, **changes))
        folders.add(training_features(tmp_path, Network(SPEC, seed=1), "32-true").folder)
    assert len(folders) == 3


def test_a_checkpoint_comes_back(tmp_path):
    network = Network(SPEC, seed=2)
    save(tmp_path / "n.pt", network, CLASSES)
    found = load(tmp_path / "n.pt").network
    assert found.spec.title == "3D tiny_video rgb, 3 views"
    assert all(torch.equal(value, found.state_dict()[key]) for key, value in network.state_dict().items())


@pytest.mark.slow
def test_openvino_agrees_with_pytorch():
    frames = [np.random.default_rng(i).integers(0, 256, (3, 256, 300, 12), dtype=np.uint8) for i in range(2)]
    network = prepare(Network(SPEC, seed=1))
    with torch.no_grad():
        for head in (network.head.fc_verb, network.head.fc_noun):
            head.weight.mul_(1000)
    reference = PytorchEngine(network, 10)
    assert check(OpenvinoEngine(network, 10, floating="float32"), reference, frames).failure is None


def test_the_reference_engine_computes_what_the_network_computes():
    frames = np.random.default_rng(0).integers(0, 256, (3, 256, 300, 12), dtype=np.uint8)
    network = Network(SPEC, seed=1).eval()
    with torch.inference_mode():
        expected = network(Normalise(network.input_format)(cut_crops(frames, 10, Modality.RGB, video=TINY_VIDEO)))
    found = PytorchEngine(prepare(network), 10).score(frames)
    torch.testing.assert_close(found.verb, expected.verb[0], rtol=1e-4, atol=1e-5)


def test_batch_norms_are_folded():
    network = prepare(Network(SPEC, seed=1))
    assert not any(isinstance(module, torch.nn.BatchNorm3d) for module in network.backbone.modules())


def test_the_network_is_looked_into_over_time():
    frames = np.random.default_rng(0).integers(0, 256, (3, 256, 300, 12), dtype=np.uint8)
    network = prepare(Network(SPEC, seed=1))
    heat = max((video_heat(network, frames[0, :32, :32], "verb", i) for i in range(3)), key=lambda found: found.max())
    assert heat.shape == (4, 32, 32)
    assert heat.min() >= 0
    assert heat.max() == pytest.approx(1, abs=1e-4)
    sheet = Image.open(io.BytesIO(activation_sheet(network, frames, "verb", 0)))
    assert sheet.size == (4 * 164 - 4, 160)
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("layout", ["channels first", "channels last", "tokens"])
def test_heat_lies_where_and_when_the_class_is(layout):
    """A network that names verb 1 for what is red, and a view whose last two frames have a red corner."""
    network = Network(SPEC).eval()
    network.backbone, network.head = Red(layout), RedHead()
    view = np.zeros((32, 32, 12), np.uint8)
    view[:16, :16, 6::3] = 255
    heat = video_heat(network, view, "verb", 1)
    assert heat[3, :4, :4].min() > 0.9
    assert heat[0].max() < 0.01
    assert heat[3, 24:, 24:].max() < 0.01


def test_a_network_without_maps_says_so():
    network = Network(SPEC).eval()
    network.backbone = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 4 * 32 * 32, 128))
    with pytest.raises(NothingToSee, match="has a map over time and place"):
        video_heat(network, np.zeros((32, 32, 12), np.uint8), "verb", 0)


class Red(torch.nn.Module):
    """Feature 0 for what is red, its negative in the others, of a map of 2 times 4 x 4 places."""

    def __init__(self, layout):
        super().__init__()
        self.layout, self.mapped = layout, torch.nn.Identity()

    def forward(self, snippets):
        red = torch.nn.functional.avg_pool3d(snippets[:, :1] - snippets[:, :1].amin(), (2, 8, 8))
        found = torch.cat([red, -red.expand(-1, 127, -1, -1, -1)], 1)
        if self.layout == "channels first":
            return self.mapped(found).mean((2, 3, 4))
        if self.layout == "channels last":
            return self.mapped(found.permute(0, 2, 3, 4, 1)).mean((1, 2, 3))
        tokens = found.flatten(2).transpose(1, 2)
        return self.mapped(torch.cat([torch.zeros_like(tokens[:, :1]), tokens], 1))[:, 1:].mean(1)


class RedHead(torch.nn.Module):
    """Verb 1 for the first feature; a parameter only to have one."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))

    def forward(self, features):
        red = features.mean(1)[:, :2].flip(1) * self.weight
        return Logits(red, red)


def test_operations_are_those_of_all_views():
    one, three = (complexity([SPEC.model_copy(update={"num_segments": num})], 10) for num in (1, 3))
    assert three.num_parameters == one.num_parameters
    assert three.num_flops > 2.9 * one.num_flops


def test_the_last_stage_is_the_last_layer():
    stages = stages_of(Network(SPEC).backbone)
    assert len(stages) == 3
    assert all(name.startswith("layer2") for name in stages[-1])


def test_a_batch_is_timed():
    found = time_batch(Network(SPEC), TrainOptions(family="3D", backbone=TINY_VIDEO.name, batch_size=2), 4, "cpu")
    assert found
    assert found.num_clips == 2


def test_weights_that_cannot_be_downloaded_are_said_where_to_put():
    with pytest.raises(Unavailable, match=r"Kinetics-400 weights of tiny_video .* choose family TSN and backbone tf_efficientnet_lite0"):
        build(SPEC, Weights.AUTO)


def test_weights_of_a_file_start_a_video_network(tmp_path):
    theirs = Network(SPEC, seed=5).backbone.state_dict()
    path = tmp_path / "theirs.pth"
    torch.save({**theirs, "fc.weight": torch.zeros(400, 128), "fc.bias": torch.zeros(400)}, path)
    start = build(SPEC, Weights.FILE, backbone_file=path)
    assert "not used: fc.bias, fc.weight" in start.description
    assert all(torch.equal(value, theirs[key]) for key, value in start.network.backbone.state_dict().items())


def test_saved_networks_may_be_fused_with_others():
    other = Network(NetworkSpec(backbone="test_resnet", num_segments=2, num_verbs=3, num_nouns=2))
    assert Saved((Network(SPEC), other), (), CLASSES).title == "3D tiny_video rgb, 3 views + TSN test_resnet rgb, 2 segments"


def test_views_of_a_clip_are_joined_with_the_segments_of_another_network(clips, tmp_path):
    choice = {"trainable": "heads", "join": "features", "fuse": ["runs/a/", "runs/b/"], "head": "lstm", "validation_crops": 10}
    made = job(tmp_path / "run", clips, tmp_path / "features", **choice)
    networks = [Network(SPEC, seed=1), Network(NetworkSpec(backbone="test_resnet", num_segments=2, num_verbs=3, num_nouns=2), seed=2)]
    joined = [JoinedNetwork(network, {clip.frames: clip.frames for clip in clips}) for network in networks]
    outcome = fit(replace(made, network=Network(joint_spec(networks, made.options, num_verbs=3, num_nouns=2)), joined=joined))
    saved = load(outcome.best)
    assert saved.joint.spec.num_segments == TINY_VIDEO.num_views
    scorer = Scorer(tuple(PytorchEngine(prepare(network), 10) for network in saved.networks), saved.weights, saved.joint.eval())
    logits = [scorer.score([read_snippets(clip.frames, network.spec) for network in saved.networks]) for clip in clips[4:]]
    truth = torch.tensor([[clip.verb, clip.noun] for clip in clips[4:]]).T
    losses = [cross_entropy(torch.stack(of_clips), true) for of_clips, true in zip(zip(*logits, strict=True), truth, strict=True)]
    assert float(sum(losses)) == pytest.approx(outcome.best_val_loss, rel=1e-4)
