"""Video networks of transformers answer as that package's own do to the same file."""

import re
import sys
import tomllib
from types import SimpleNamespace

import pytest
import torch

from tasks.data.video.frames import read_frames
from tasks.errors import BadConfiguration
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.grad_cam import video_heat
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.inputs.crops import Normalise
from tasks.learn.networks import backbones, library_backbones
from tasks.learn.networks.network import Network
from tasks.learn.networks.pretrained import load_backbone
from tasks.learn.networks.spec import NetworkSpec, snippet_format
from tasks.local.home_folder import REPOSITORY
from tasks.options import Modality
from tasks.video_networks import VIDEO_NETWORKS
from tests.data.clips.conftest import threads_decode
from tests.learn.test_video_networks import NUM_FRAMES, clip, ours
from tests.learn.tiny import crops_of

__all__ = ["clip", "threads_decode"]

IN_HUB = [name for name, row in VIDEO_NETWORKS.items() if row.repository]
QUICK, JEPA = "videomae-small-finetuned-kinetics", "vjepa2-vitl-fpc64-256"


@pytest.fixture
def transformers(monkeypatch):
    """The package, whose networks are built with one layer."""
    package = pytest.importorskip("transformers", reason="the optional package transformers is not installed")
    for size, choices in library_backbones.SIZES.items():
        monkeypatch.setitem(library_backbones.SIZES, size, {**choices, "num_hidden_layers": 1})
    return package


def theirs(transformers, name, clip, num_views):
    """The views of a clip as the package's processor makes them, (views, frames, 3, h, w)."""
    row = VIDEO_NETWORKS[name]
    frames = torch.from_numpy(read_frames(clip, range(0, NUM_FRAMES, row.frame_stride), short_side=None)).permute(0, 3, 1, 2)
    starts = [0, len(frames) - row.num_frames][:num_views]
    if name.startswith("videomae"):
        processor = transformers.VideoMAEImageProcessor(image_mean=row.mean, image_std=row.std)
        views = [processor(list(frames[start : start + row.num_frames]), return_tensors="pt").pixel_values[0] for start in starts]
    else:
        processor = transformers.VJEPA2VideoProcessor(crop_size=row.crop_pixels)
        views = [processor(frames[start : start + row.num_frames], return_tensors="pt").pixel_values_videos[0] for start in starts]
    return torch.stack(views)


@pytest.mark.parametrize("name", IN_HUB)
def test_without_the_package_its_installation_is_named(name, monkeypatch):
    (needed,) = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["optional-dependencies"]["transformers"]
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(BadConfiguration, match=re.escape(f"pip install '{needed}'")):
        Network(NetworkSpec(backbone=name))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["videomae-base", JEPA, pytest.param("vjepa2-vitg-fpc64-384", marks=pytest.mark.long)])
def test_frames_from_the_cache_are_those_of_the_packages_processor(transformers, name, clip, tmp_path, monkeypatch):
    row = VIDEO_NETWORKS[name]
    snippets = ours(clip, NetworkSpec(backbone=name, num_segments=2), tmp_path, monkeypatch)
    normalise = Normalise(snippet_format(backbones.find(name).input, Modality.RGB, row))
    seen = normalise(crops_of(snippets, 10, video=row))[0].transpose(1, 2)
    torch.testing.assert_close(seen, theirs(transformers, name, clip, 2), rtol=0, atol=1e-5)


@pytest.mark.slow
def test_logits_of_videomae_are_those_of_the_package_and_it_is_looked_into_by_its_tokens(transformers, clip, tmp_path, monkeypatch):
    config = transformers.VideoMAEConfig(**library_backbones.SIZES["small"], num_labels=400, use_mean_pooling=True)
    reference = transformers.VideoMAEForVideoClassification(config).eval()
    torch.nn.init.normal_(reference.classifier.weight, generator=torch.Generator().manual_seed(0))
    network = Network(NetworkSpec(backbone=QUICK, num_segments=2, num_verbs=400, num_nouns=3))
    torch.save(reference.state_dict(), tmp_path / "weights.pth")
    used = load_backbone(network, tmp_path / "weights.pth")
    assert used.unused == ("classifier.bias", "classifier.weight")
    network.head.fc_verb.load_state_dict(reference.classifier.state_dict())
    with torch.inference_mode():
        expected = reference(theirs(transformers, QUICK, clip, 2)).logits.mean(0)
    view, network = ours(clip, network.spec, tmp_path, monkeypatch), prepare(network)
    assert expected.std() > 0.1
    torch.testing.assert_close(PytorchEngine(network, 10).score(view).verb, expected, rtol=0, atol=1e-4)
    heats = [video_heat(network, view[0, :224, :224], "verb", class_id) for class_id in range(3)]
    assert heats[0].shape == (16, 224, 224)
    assert max(heat.max() for heat in heats) > 0


@pytest.mark.long
@torch.inference_mode()
def test_features_of_vjepa2_are_those_of_the_package(transformers, tmp_path):
    reference = transformers.VJEPA2Model(transformers.VJEPA2Config(num_hidden_layers=1, pred_num_hidden_layers=1)).eval()
    torch.save(reference.state_dict(), tmp_path / "weights.pth")
    network = Network(NetworkSpec(backbone=JEPA, num_segments=1)).eval()
    load_backbone(network, tmp_path / "weights.pth")
    snippet = torch.rand(1, 64, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    expected = reference(snippet, skip_predictor=True).last_hidden_state.mean(1)
    torch.testing.assert_close(network.backbone(snippet.transpose(1, 2)), expected, rtol=0, atol=1e-4)


@pytest.mark.slow
def test_every_network_has_the_features_of_its_row(transformers):
    for name in (QUICK, "videomae-base", "videomae-large", "videomae-huge-finetuned-kinetics"):
        row = VIDEO_NETWORKS[name]
        with torch.device("meta"):
            module = library_backbones.transformers_video(row)
            assert module(torch.empty(1, 3, row.num_frames, row.crop_pixels, row.crop_pixels)).shape == (1, row.num_features)


def test_a_processor_that_says_otherwise_is_refused(transformers):
    row = VIDEO_NETWORKS["videomae-base"]
    config, said = transformers.VideoMAEConfig(), {"image_mean": row.mean, "image_std": row.std}
    library_backbones.check_published(row, config, transformers.VideoMAEImageProcessor(**said))
    jepa = VIDEO_NETWORKS["vjepa2-vitg-fpc64-384"]
    library_backbones.check_published(jepa, transformers.VJEPA2Config(), transformers.VJEPA2VideoProcessor(crop_size=384))
    with pytest.raises(RuntimeError, match=r"MCG-NJU/videomae-base says .*0\.5, 0\.5, 0\.5"):
        library_backbones.check_published(row, config, transformers.VideoMAEImageProcessor())
    with pytest.raises(RuntimeError, match="expects"):
        library_backbones.check_published(row, SimpleNamespace(num_frames=8), transformers.VideoMAEImageProcessor(**said))


@pytest.mark.parametrize("commit", ["0a1b2c", None])
def test_safetensors_alone_are_read_and_their_commit_is_told(monkeypatch, commit):
    row, asked = VIDEO_NETWORKS["videomae-base"], []
    size = {"height": row.crop_pixels}
    processor = SimpleNamespace(size=size, crop_size=size, image_mean=row.mean, image_std=row.std)
    model = SimpleNamespace(config=SimpleNamespace(num_frames=row.num_frames, _commit_hash=commit), state_dict=dict)
    package = SimpleNamespace(
        VideoMAEForPreTraining=SimpleNamespace(from_pretrained=lambda *of, **choices: asked.append((*of, choices)) or model),
        VideoMAEImageProcessor=SimpleNamespace(from_pretrained=lambda repository: processor),
    )
    monkeypatch.setattr(library_backbones, "_transformers", lambda: package)
    assert library_backbones.transformers_weights(row) == ({}, commit or "")
    assert asked == [(row.repository, {"use_safetensors": True})]
