"""Video networks of torchvision answer as torchvision's own do to the same file, from frames to logits."""

import subprocess
from types import SimpleNamespace

import pytest
import torch
import torchvision
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models import get_model, get_model_weights, list_models

from tasks.data.clips import frame_cache
from tasks.data.video.frames import read_frames
from tasks.errors import BadConfiguration
from tasks.learn.engines.engine import prepare
from tasks.learn.engines.pytorch import PytorchEngine, export_failure, export_module
from tasks.learn.inputs.crops import Normalise
from tasks.learn.inputs.snippets import evaluation_snippets, kept_frames, uniform_snippets
from tasks.learn.networks import backbones
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import NetworkSpec, snippet_format
from tasks.options import Modality
from tasks.video_networks import CLIP_FPS, VIDEO_NETWORKS
from tests.data.clips.conftest import threads_decode
from tests.learn.tiny import crops_of
from tests.pipeline.shelf import Shelf

__all__ = ["threads_decode"]

NUM_FRAMES = 240
ROUNDING = 1e-9
"""Torch's own positions miss whole frames by this much at most."""
WIDTH, HEIGHT = 340, 256
URI = "s3://retake/clips/v/r/0000.mp4"
QUICK = ("mc3_18",)
IN_TORCHVISION = [name for name, row in VIDEO_NETWORKS.items() if not row.repository]
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.long) for name in IN_TORCHVISION]


@pytest.fixture(scope="module")
def clip(ffmpeg, tmp_path_factory):
    """Eight seconds that move, as clips are cut."""
    path = tmp_path_factory.mktemp("clip") / "0000.mp4"
    drawn = ["-f", "lavfi", "-i", f"testsrc2=size={WIDTH}x{HEIGHT}:rate={CLIP_FPS}:duration=8", "-pix_fmt", "yuv420p"]
    subprocess.run([ffmpeg, "-nostdin", "-loglevel", "error", *drawn, path], check=True)
    return path


def ours(clip, spec, tmp_path, monkeypatch):
    """The test snippets of a clip in the store, uint8 (t, h, w, p)."""
    monkeypatch.setenv("RETAKE_CACHE_DIR", str(tmp_path))
    store = Shelf()
    store.write_file(URI, clip)
    stored = SimpleNamespace(uid="c", uri=URI, sha256="0" * 64, width=WIDTH, height=HEIGHT, num_frames=NUM_FRAMES)
    return frame_cache.load_few(store, [stored], spec)[0]


def theirs(clip, name, num_views):
    """The same as torchvision's reference tests a network: (views, 3, frames, h, w)."""
    row, preset = VIDEO_NETWORKS[name], next(iter(get_model_weights(name))).transforms()
    frames = torch.from_numpy(read_frames(clip, range(NUM_FRAMES), short_side=None)).permute(0, 3, 1, 2)[:: row.frame_stride]
    # A film that is shorter than a snippet has none in torchvision.
    frames = torch.cat([frames, frames[-1:].expand(max(0, row.num_frames - len(frames)), -1, -1, -1)])
    starts = torch.linspace(0, len(frames) - row.num_frames, steps=num_views).floor().to(torch.int64)
    return torch.stack([preset(frames[start : start + row.num_frames]) for start in starts.tolist()])


def test_every_video_network_of_torchvision_is_in_the_table():
    assert sorted(IN_TORCHVISION) == list_models(module=torchvision.models.video)


@pytest.mark.parametrize("name", IN_TORCHVISION)
def test_the_table_is_what_the_weights_say_of_themselves(name):
    row, weights = VIDEO_NETWORKS[name], next(iter(get_model_weights(name)))
    preset, docs = weights.transforms(), weights.meta["_docs"]
    assert weights.name == "KINETICS400_V1"
    assert (list(row.resize), [row.crop_pixels] * 2) == (preset.resize_size, preset.crop_size)
    assert [list(row.mean), list(row.std)] == [preset.mean, preset.std]
    rate = f"{CLIP_FPS / row.frame_stride:g}"
    assert f"`frame_rate={rate}`" in docs
    assert f"`clips_per_video={row.num_views}`" in docs
    assert f"`clip_len={row.num_frames}`" in docs


@given(num_frames=st.integers(1, 500), num_views=st.integers(1, 20), length=st.integers(1, 130))
def test_views_lie_where_torchvisions_sampler_puts_them(num_frames, num_views, length):
    snippets = uniform_snippets(num_frames, num_views, length)
    num_clips = max(1, num_frames - length + 1)
    assert [snippet[0] for snippet in snippets] == (
        torch.linspace(0, num_clips - 1, steps=num_views, dtype=torch.float64) + ROUNDING
    ).floor().tolist()
    assert all(snippet == [min(snippet[0] + i, num_frames - 1) for i in range(length)] for snippet in snippets)


def test_a_window_moves_the_views_into_the_middle_of_the_clip():
    spec = NetworkSpec(backbone="mvit_v2_s", num_segments=5, sampling_window=0.5)
    kept = kept_frames(NUM_FRAMES, spec)
    assert (kept[0], kept[-1], kept.step) == (60, 176, 4)
    assert len(evaluation_snippets(len(kept), spec)) == 5
    tight = kept_frames(NUM_FRAMES, spec.model_copy(update={"sampling_window": 0.01}))
    assert len(tight) == 16


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@torch.inference_mode()
def test_frames_and_logits_from_a_file_are_those_of_torchvisions_preset_and_network(name, clip, tmp_path, monkeypatch):
    row = VIDEO_NETWORKS[name]
    # One view of the largest takes a minute, and one of the quickest a second.
    num_views = 1 if row.num_frames > 16 or name in QUICK else 2
    spec = NetworkSpec(backbone=name, num_segments=num_views, num_verbs=400, num_nouns=7)
    snippets, expected_views = ours(clip, spec, tmp_path, monkeypatch), theirs(clip, name, num_views)
    assert snippets.shape == (num_views, HEIGHT, WIDTH, 3 * row.num_frames)
    normalise = Normalise(snippet_format(backbones.find(name).input, Modality.RGB, row))
    (seen,) = normalise(crops_of(snippets, 10, video=row))
    torch.testing.assert_close(seen, expected_views, rtol=0, atol=1e-5)
    reference, network = _seeded(name), Network(spec)
    state = reference.state_dict()
    network.backbone.load_state_dict({key: state[key] for key in network.backbone.state_dict()})
    weight, bias = list(state.values())[-2:]
    network.head.fc_verb.load_state_dict({"weight": weight.flatten(1), "bias": bias})
    expected = torch.stack([reference(view[None])[0] for view in expected_views]).mean(0)
    assert expected.std() > 1e-2
    torch.testing.assert_close(PytorchEngine(prepare(network), 10).score(snippets).verb, expected, rtol=0, atol=1e-4)


def _seeded(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return get_model(name, weights=None).eval()


@pytest.mark.long
@pytest.mark.parametrize("backbone", ["mvit_v2_s", "swin3d_t"])
def test_a_video_transformer_is_exported(backbone):
    assert export_failure(*export_module(Network(NetworkSpec(backbone=backbone, num_segments=1), seed=1))) is None


@pytest.mark.parametrize("changes", [{"modality": "flow"}, {"modality": "rgb-difference"}, {"temporal_shift": True}])
def test_a_video_network_takes_rgb_frames_and_no_shift(changes):
    with pytest.raises(BadConfiguration, match="mc3_18 is a video network"):
        Network(NetworkSpec(backbone="mc3_18", **changes))
