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
from tasks.learn.engines.choice import check
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.grad_cam import NothingToSee, activation_sheet, video_heat
from tasks.learn.engines.openvino import OpenvinoEngine
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.engines.scorer import Scorer
from tasks.learn.inputs.crops import Augmentation, Normalise
from tasks.learn.inputs.data import CachedClip, View
from tasks.learn.inputs.features import FeatureMemory, training_features
from tasks.learn.inputs.snippets import read_snippets
from tasks.learn.networks.checkpoints import load
from tasks.learn.networks.network import Network
from tasks.learn.networks.pretrained import build
from tasks.learn.training.costs import complexity, time_batch
from tasks.learn.training.fit import fit
from tasks.learn.training.job import JoinedNetwork, TrainJob, joint_spec, set_up_heads, set_up_images, views_of
from tasks.learn.training.trials import TrialJob, prepare_head_trial, run_head_trial
from tasks.options import TrainOptions, Weights
from tasks.video_networks import VIDEO_NETWORKS
from tests.learn.tiny import (
    LAYOUTS,
    NUM_FEATURES,
    TINY_VIDEO,
    Red,
    RedHead,
    crops_of,
    outspoken,
    save_noise,
    snippets_of,
    state_of,
    tiny,
    tiny_video_network,
)
from tests.learn.tiny import job as tiny_job

pytestmark = pytest.mark.slow

SPEC = tiny(backbone=TINY_VIDEO.name, num_segments=TINY_VIDEO.num_views)


@pytest.fixture(scope="module", autouse=True)
def tiny_video() -> Iterator[None]:
    with tiny_video_network():
        yield


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[CachedClip]:
    """Six clips of noise at the network's own rate; 12 frames are as many as those of all its views."""
    return save_noise(tmp_path_factory.mktemp("frames"), (12, 12, 9, 20, 3, 12))


def job(folder: Path, clips: list[CachedClip], **choice) -> TrainJob:
    planned = tiny_job(folder, clips, SPEC, **{"family": "3D", "backbone": TINY_VIDEO.name, "epochs": 2, **choice})
    return replace(planned, features=folder.parent / "features")


def test_a_test_shows_all_views_and_a_training_step_one(tmp_path, clips):
    _, train, val = set_up_images(job(tmp_path, clips, validation_crops=10), "cpu")
    assert next(iter(train)).inputs.shape == (2, 1, 12, 32, 32)
    assert next(iter(val)).inputs.shape == (2, 3, 12, 32, 32)
    with_frozen = job(tmp_path, clips, trainable="heads")
    assert {view.images(SPEC).shape for view in views_of(with_frozen)} == {(3, 12, 32, 32)}
    _, train, _ = set_up_heads(with_frozen, "cpu", lambda view: torch.zeros(3, NUM_FEATURES))
    assert next(iter(train)).inputs.shape == (2, 3, NUM_FEATURES)


@pytest.mark.parametrize("trainable", ["all", "heads"])
def test_where_the_backbone_does_not_learn_one_clip_at_a_time_is_normalised(tmp_path, clips, trainable):
    module, _, val = set_up_images(job(tmp_path, clips, trainable=trainable), "cpu")
    inputs = next(iter(val)).inputs
    module.eval()
    expected = module.network(module.normalise(inputs))
    sizes = []
    module.normalise.register_forward_hook(lambda _, __, output: sizes.append(len(output)))
    with torch.set_grad_enabled(trainable == "heads"):
        logits = module.answer(module.see(inputs))
    assert sizes == [1, 1]
    torch.testing.assert_close(logits.verb, expected.verb, rtol=1e-4, atol=1e-5)


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
    ("choice", "learns"),
    [
        ({"batch_norm": "train"}, {"stem", "layer1", "layer2"}),
        ({"trainable": "last-stage", "batch_norm": "frozen"}, {"layer2"}),
        ({"trainable": "heads"}, set()),
    ],
    ids=["all", "last-stage", "heads"],
)
def test_the_chosen_part_learns(tmp_path, clips, choice, learns):
    after = state_of(fit(job(tmp_path / "run", clips, epochs=1, **choice)))
    changed = [key for key, value in Network(SPEC, seed=1).state_dict().items() if not torch.equal(value, after[key])]
    assert {key.split(".")[1] for key in changed if key.startswith("backbone.")} == learns
    assert any(key.startswith("head.") for key in changed)


def test_an_engine_and_cached_features_compute_what_the_network_does(tmp_path, clips):
    network, clip = Network(SPEC, seed=1).eval(), clips[4].frames
    ready = prepare_head_trial(TrialJob(job(tmp_path / "run", clips, trainable="heads"), 10))
    with torch.inference_mode():
        seen = Normalise(network.input_format)(crops_of(read_snippets(clip, SPEC), 1, video=TINY_VIDEO))
        features, logits = network.features(seen)[0], network(seen)
    torch.testing.assert_close(ready.trained.read(View(clip).name), features, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        PytorchEngine(prepare(network), 10).score(read_snippets(clip, SPEC)).verb, logits.verb[0], rtol=1e-4, atol=1e-5
    )
    assert run_head_trial(ready, FeatureMemory(2**20)).loss > 0


def test_features_of_another_rate_or_size_are_not_taken(tmp_path, monkeypatch):
    folders = set()
    for changes in ({}, {"frame_stride": 4}, {"resize": (36,)}):
        monkeypatch.setitem(VIDEO_NETWORKS, TINY_VIDEO.name, replace(TINY_VIDEO, **changes))
        folders.add(training_features(tmp_path, Network(SPEC, seed=1), "32-true").folder)
    assert len(folders) == 3


def test_openvino_agrees_with_pytorch():
    network = prepare(outspoken(Network(SPEC, seed=1)))
    assert not any(isinstance(module, torch.nn.BatchNorm3d) for module in network.backbone.modules())
    engine = OpenvinoEngine(network, 10, floating="float32")
    assert check(engine, PytorchEngine(network, 10), [snippets_of(SPEC, seed) for seed in range(2)]).failure is None


def test_the_network_is_looked_into_over_time():
    frames, network = snippets_of(SPEC), prepare(Network(SPEC, seed=1))
    heat = max((video_heat(network, frames[0, :32, :32], "verb", i) for i in range(5)), key=lambda heat: heat.max())
    assert heat.shape == (4, 32, 32)
    assert heat.min() >= 0
    assert heat.max() == pytest.approx(1, abs=1e-4)
    sheet = Image.open(io.BytesIO(activation_sheet(network, frames, "verb", 0)))
    assert sheet.size == (4 * 164 - 4, 160)
    assert all(parameter.grad is None for parameter in network.parameters())


@pytest.mark.parametrize("layout", LAYOUTS)
def test_heat_lies_where_and_when_the_class_is(layout):
    """The last two frames of a view have a red corner."""
    network = Network(SPEC).eval()
    network.backbone, network.head = Red(layout, NUM_FEATURES), RedHead()
    view = np.zeros((32, 32, 12), np.uint8)
    view[:16, :16, 6::3] = 255
    heat = video_heat(network, view, "verb", 1)
    assert heat[3, :4, :4].min() > 0.9
    assert heat[0].max() < 0.01
    assert heat[3, 24:, 24:].max() < 0.01


def test_a_network_without_maps_says_so():
    network = Network(SPEC).eval()
    network.backbone = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 4 * 32 * 32, NUM_FEATURES))
    with pytest.raises(NothingToSee, match="has a map over time and place"):
        video_heat(network, np.zeros((32, 32, 12), np.uint8), "verb", 0)


def test_size_time_and_title_are_those_of_all_views():
    single, three = (complexity([SPEC.model_copy(update={"num_segments": num})], 10) for num in (1, 3))
    assert three.num_parameters == single.num_parameters
    assert three.num_flops > 2.9 * single.num_flops
    assert time_batch(Network(SPEC), TrainOptions(family="3D", backbone=TINY_VIDEO.name, batch_size=2), 4, "cpu").num_clips == 1
    assert SPEC.title == "3D tiny_video rgb, 3 views"


def test_weights_that_cannot_be_downloaded_are_said_where_to_put():
    with pytest.raises(Unavailable, match=r"Kinetics-400 weights of tiny_video .* choose family TSN and backbone tf_efficientnet_lite0"):
        build(SPEC, Weights.AUTO)


def test_views_of_a_clip_are_joined_with_the_segments_of_another_network(clips, tmp_path):
    choice = {"trainable": "heads", "join": "features", "fuse": ["runs/a/", "runs/b/"], "head": "tcn", "validation_crops": 10}
    made = job(tmp_path / "run", clips, **choice)
    networks = [Network(SPEC, seed=1), Network(tiny(), seed=2)]
    joined = [JoinedNetwork(network, {clip.frames: clip.frames for clip in clips}) for network in networks]
    outcome = fit(replace(made, network=Network(joint_spec(networks, made.options, num_verbs=5, num_nouns=4)), joined=joined))
    saved = load(outcome.best)
    assert saved.joint.spec.num_segments == TINY_VIDEO.num_views
    scorer = Scorer(tuple(PytorchEngine(prepare(network), 10) for network in saved.networks), saved.weights, saved.joint.eval())
    logits = [scorer.score([read_snippets(clip.frames, network.spec) for network in saved.networks]) for clip in clips[4:]]
    truth = torch.tensor([[clip.verb, clip.noun] for clip in clips[4:]]).T
    losses = [cross_entropy(torch.stack(of_clips), true) for of_clips, true in zip(zip(*logits, strict=True), truth, strict=True)]
    assert float(sum(losses)) == pytest.approx(outcome.best_val_loss, rel=1e-4)
