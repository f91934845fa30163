"""Networks, inputs and trainings that take seconds, and comparisons of them."""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from timm.models import register_model
from timm.models.resnet import BasicBlock, ResNet
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.video.resnet import BasicBlock as VideoBlock
from torchvision.models.video.resnet import Conv3DSimple

from tasks.learn.engines.choice import ScoringJob
from tasks.learn.engines.scorer import make_scorer
from tasks.learn.inputs.crops import Frames, NumCrops, cut_views
from tasks.learn.inputs.data import CachedClip
from tasks.learn.networks import library_backbones
from tasks.learn.networks.checkpoints import Saved, load
from tasks.learn.networks.heads import Logits
from tasks.learn.networks.network import Network
from tasks.learn.networks.spec import FAMILIES, ClassNames, NetworkSpec
from tasks.learn.training.epochs import LAST, EpochFiles
from tasks.learn.training.fit import TrainOutcome, fit
from tasks.learn.training.job import TrainJob
from tasks.options import Family, Modality, TrainOptions
from tasks.video_networks import VIDEO_NETWORKS, VideoNetwork

REPOSITORY = Path(__file__).resolve().parents[2]
CLASSES = ClassNames(verbs=tuple("abcde"), nouns=tuple("wxyz"))
OPTIONS = TrainOptions(backbone="tiny_resnet", epochs=3, learning_rate=1e-3, batch_size=2, num_segments=2)
HEADS = {"trainable": "heads", "feature_variants": 2}
EXACT = {"batch_norm": "frozen"}
"""With these a batch's loss is the same in whatever parts it is computed."""

RICH = {
    "optimizer": "adamw",
    "weight_decay": 0.05,
    "schedule": "cosine",
    "warmup_epochs": 1,
    "label_smoothing": 0.1,
    "accumulate_batches": 2,
}
"""Options that all kinds of training can have at once."""


@register_model
def tiny_resnet(pretrained: bool = False, num_classes: int = 1000, in_chans: int = 3, **_) -> ResNet:
    """Build the stages of timm's test_resnet with fewer channels, which takes a tenth of its time."""
    assert not pretrained
    return ResNet(BasicBlock, (1, 1, 1, 1), num_classes, in_chans, stem_type="deep", stem_width=4, avg_down=True, channels=(8, 8, 16, 96))


def tiny(family: Family = Family.TSN, **changes) -> NetworkSpec:
    consensus, temporal_shift = FAMILIES[family]
    sizes = {"backbone": "tiny_resnet", "num_segments": 2, "num_verbs": 5, "num_nouns": 4}
    return NetworkSpec(**sizes | {"consensus": consensus, "temporal_shift": temporal_shift} | changes)


def outspoken(network: Network, std: float = 0.3, seed: int = 0) -> Network:
    """Give the head logits of the size that a trained one has, which tell its answers apart."""
    with torch.no_grad():
        for parameter in network.head.parameters():
            parameter.normal_(std=std, generator=torch.Generator().manual_seed(seed))
    return network


def network_of(family: Family = Family.TSN, seed: int = 1, head_seed: int | None = None, std: float = 0.3, **changes) -> Network:
    """A tiny network of three segments that is ready to answer."""
    network = Network(tiny(family, **{"num_segments": 3} | changes), seed).eval()
    return outspoken(network, std, seed if head_seed is None else head_seed)


def with_branches(network: Network) -> Network:
    """Let residual branches count; timm starts them at nothing."""
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    return network


def snippets_of(spec: NetworkSpec, seed: int = 0) -> NDArray[np.uint8]:
    """Noise as a test of this network reads it."""
    return np.random.default_rng(seed).integers(0, 256, (spec.num_segments, 256, 300, spec.snippet.num_planes), dtype=np.uint8)


def crops_of(frames: Frames, num_crops: NumCrops, modality: Modality = Modality.RGB, video: VideoNetwork | None = None) -> Tensor:
    """Copy the views of snippets into one tensor, uint8 (k, t, p, 224, 224)."""
    return torch.from_numpy(np.stack(cut_views(frames, num_crops, modality, video))).permute(0, 1, 4, 2, 3)


def save_noise(folder: Path, lengths: Sequence[int]) -> list[CachedClip]:
    """Save a clip of so many frames of noise for each length, of three verbs and two nouns."""
    rng = np.random.default_rng(0)
    clips = [CachedClip(folder / f"{i}.npy", verb=i % 3, noun=i % 2) for i in range(len(lengths))]
    for clip, length in zip(clips, lengths, strict=True):
        np.save(clip.frames, rng.integers(0, 256, (length, 256, 300, 3), dtype=np.uint8))
    return clips


def job(folder: Path, clips: Sequence[CachedClip], spec: NetworkSpec | None = None, **choice) -> TrainJob:
    options = TrainOptions.model_validate(OPTIONS.model_dump() | choice)
    return TrainJob(Network(spec or tiny(), seed=1), CLASSES, clips[:4], clips[4:], options, folder, device="cpu")


def kept_job(folder: Path, clips: Sequence[CachedClip], spec: NetworkSpec | None = None, **choice) -> TrainJob:
    """Train heads on features that all trainings in folders beside this one share."""
    return replace(job(folder, clips, spec, **HEADS | choice), features=folder.parent / "features")


class Bessel(torch.nn.Module):
    """A function which OpenVINO lacks."""

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        return torch.special.bessel_j0(features)


class Stop(Exception):
    """Ends a training between two epochs."""


def stop_after(epoch: int) -> Callable[[EpochFiles], None]:
    def hook(files: EpochFiles) -> None:
        if files.records[-1].epoch == epoch:
            raise Stop

    return hook


def assert_resumes(make: Callable[[str], TrainJob], first: int, *later: int) -> TrainOutcome:
    """A training from the files of its first epochs, stopped after each later one, ends as the undisturbed one, which is returned."""
    whole = make("whole")
    begun = whole.folder.with_name("resumed")

    def keep(files: EpochFiles) -> None:
        if files.records[-1].epoch == first:
            shutil.copytree(whole.folder, begun)
        if whole.caches_features:
            assert files.best is None
            assert {name.split(".")[0] for name in torch.load(files.last, weights_only=True)["state_dict"]} == {"head"}

    undisturbed = fit(whole, on_epoch=keep)
    assert (begun / LAST).exists()
    for epoch in later:
        with pytest.raises(Stop):
            fit(make("resumed"), on_epoch=stop_after(epoch))
    trained: list[int] = []
    resumed = fit(make("resumed"), on_epoch=lambda files: trained.extend(record.epoch for record in files.records))
    assert trained == list(range((first, *later)[-1] + 1, len(undisturbed.history)))
    assert scores(resumed) == scores(undisturbed)
    assert_same_files(begun, whole.folder)
    return undisturbed


def scores(outcome: TrainOutcome) -> list:
    return [replace(record, seconds=0) for record in outcome.history]


def figures(outcome: TrainOutcome) -> list[float]:
    return [value for record in outcome.history for means in (record.train, record.val) for value in asdict(means).values()]


def state_of(outcome: TrainOutcome) -> dict[str, torch.Tensor]:
    return load(outcome.best).network.state_dict()


def assert_same_files(first: Path, second: Path) -> None:
    assert (first / "best.pt").read_bytes() == (second / "best.pt").read_bytes()
    assert learnt(first) == learnt(second)


def learnt(folder: Path) -> list:
    """All that the last checkpoint says of weights, averages, optimizer, schedule and history, but how long it took."""
    checkpoint = torch.load(folder / "last.ckpt", weights_only=True)
    parts = ["state_dict", "current_model_state", "averaging_state", "optimizer_states", "lr_schedulers", "callbacks", "global_step"]

    def flat(value, name: str) -> list:
        if isinstance(value, dict):
            return [pair for key, inner in value.items() if key != "seconds" for pair in flat(inner, f"{name}.{key}")]
        if isinstance(value, list | tuple):
            return [pair for index, inner in enumerate(value) for pair in flat(inner, f"{name}.{index}")]
        return [(name, value.tolist() if isinstance(value, torch.Tensor) else value)]

    return [pair for part in parts for pair in flat(checkpoint.get(part, {}), part)]


def epic_key(key: str) -> str:
    """Name a tensor of a network as EPIC's files do."""
    return f"base_model.{key.removeprefix('backbone.')}" if key.startswith("backbone.") else key.removeprefix("head.")


def scorer_of(saved: Saved, wanted: str = "pytorch", num_crops: int = 1):
    """Make the scorer of a checkpoint; engines are checked on noise."""
    checked = [[snippets_of(network.spec)] for network in saved.networks]
    jobs = [ScoringJob("cpu", 1, num_crops, checked=lambda clips=clips: clips) for clips in checked]
    return make_scorer(saved, wanted, jobs)


def passes_of(network: Network) -> list[None]:
    """Grows by one with each pass through the backbone."""
    passes: list[None] = []
    network.backbone.register_forward_hook(lambda *_: passes.append(None))
    return passes


NUM_FEATURES = 16
TINY_VIDEO = VideoNetwork("tiny_video", 4, 2, 3, (40, 52), 32, (0.45, 0.45, 0.45), (0.225, 0.225, 0.225), NUM_FEATURES)


class TinyVideo(nn.Module):
    """The stem and the first two stages of r3d_18, with a block in each, and few channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv3d(3, 8, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False), nn.BatchNorm3d(8), nn.ReLU())
        self.layer1 = nn.Sequential(VideoBlock(8, 8, Conv3DSimple))
        halved = nn.Sequential(nn.Conv3d(8, NUM_FEATURES, 1, 2, bias=False), nn.BatchNorm3d(NUM_FEATURES))
        self.layer2 = nn.Sequential(VideoBlock(8, NUM_FEATURES, Conv3DSimple, 2, halved))
        self.avgpool = nn.AdaptiveAvgPool3d(1)

    def forward(self, inputs: Tensor) -> Tensor:
        features: Tensor = self.avgpool(self.layer2(self.layer1(self.stem(inputs))))
        return features.flatten(1)


@contextmanager
def tiny_video_network() -> Iterator[VideoNetwork]:
    """Put it into the table."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(VIDEO_NETWORKS, TINY_VIDEO.name, TINY_VIDEO)
        patch.setattr(library_backbones, "torchvision_video", lambda name: TinyVideo())
        patch.setattr(library_backbones, "torchvision_url", lambda name: "https://nowhere.invalid/tiny_video.pth")
        yield TINY_VIDEO


LAYOUTS = ["channels first", "channels last", "tokens"]


class Red(nn.Module):
    """How red an image or a film is on average, and how red it is not in all other features, through a map of this layout."""

    def __init__(self, layout: str, num_features: int) -> None:
        super().__init__()
        self.layout, self.num_features = layout, num_features
        self.mapped, self.last = nn.Identity(), nn.Identity()

    def forward(self, inputs):
        redness = inputs[:, :1] - inputs[:, :1].amin()
        red = functional.avg_pool2d(redness, 16) if inputs.ndim == 4 else functional.avg_pool3d(redness, (2, 8, 8))
        features = torch.cat([red, *[-red] * (self.num_features - 1)], 1)
        if self.layout == "channels first":
            return self.mapped(features).flatten(2).mean(2)
        if self.layout == "channels last":
            return self.mapped(features.movedim(1, -1)).flatten(1, -2).mean(1)
        patches = features.flatten(2).transpose(1, 2)
        tokens = self.mapped(torch.cat([torch.zeros_like(patches[:, :1]), patches], 1))[:, 1:]
        # A class token looks at the patches once; afterwards nothing depends on them.
        return self.last(torch.cat([tokens.mean(1, keepdim=True), tokens], 1))[:, 0]


class RedHead(nn.Module):
    """Verb 1 for the first feature; a parameter only to have one."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))

    def forward(self, features):
        scores = features.mean(1)[:, :2].flip(1) * self.weight
        return Logits(scores, scores)
