"""Rows `scoring` and `answers`: the engines beside the public reference code's way of testing, in speed and in what they answer."""

# k: crops, t: segments, n: matrix rows, h, w: pixels

from collections.abc import Callable, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch.utils.flop_counter import FlopCounterMode

from tasks.data.video.cut import CutClip
from tasks.data.video.frames import read_frames
from tasks.learn.engines.engine import Engine, example_view, prepare
from tasks.learn.engines.openvino import OpenvinoEngine, compile_graph
from tasks.learn.engines.pytorch import PytorchEngine
from tasks.learn.hardware import silenced
from tasks.learn.inputs.snippets import middle_snippets
from tasks.learn.networks import backbones
from tasks.learn.networks.heads import Logits
from tasks.learn.networks.network import Network
from tests.bench.material import SHARED, clips, cut_up, network
from tests.bench.measure import Row, alternate

Frames = NDArray[np.uint8]
NUM_CROPS, CROP = 10, 224
REFERENCE = "reference way"
PRECISIONS: tuple[Literal["float32", "bfloat16"], ...] = ("float32", "bfloat16")
KITCHEN = SHARED / "kitchen"
"""Real videos, where they are."""


def scoring(folder: Path, quick: bool) -> list[Row]:
    """Seconds a clip by every engine, and how many clips of real videos each names as the reference does."""
    backbone, num_clips, repetitions = ("test_resnet", 2, 2) if quick else ("resnet50", 12, 7)
    plain = outspoken(network(backbone))
    frames = real_frames(KITCHEN, folder) if KITCHEN.is_dir() and not quick else [middle_of(clip) for clip in clips(folder, num_clips)]
    variants = scorers(plain)
    return [speed(backbone, variants, frames[0], plain, repetitions), answers(backbone, variants, frames)]


def speed(backbone: str, variants: dict[str, Callable[[Frames], Logits]], clip: Frames, plain: Network, repetitions: int) -> Row:
    """Row `scoring`: seconds of one clip in 10 crops, frames decoded and scaled before."""
    for score in variants.values():
        score(clip)
    values = alternate({name: partial(score, clip) for name, score in variants.items()}, repetitions)
    work = clip_flop(plain)
    limits = {precision: work / matrix_flop_per_second(precision) for precision in PRECISIONS}
    target = "at most 0.2 x, and within 15 % of the bfloat16 limit, where the CPU has bfloat16; at most 0.4 x in float32"
    limit = ", ".join(f"{seconds:.2f} s in {name}" for name, seconds in limits.items())
    how = "Reference way: Pillow crops, the 80 views as one float32 batch, PyTorch eager, nothing fused. Frames are decoded and scaled before."
    limit = f"{work / 1e9:.0f} GFLOP a clip at the speed of a matrix product: {limit}"
    return Row("scoring", f"A clip in ten crops, {backbone}", "s", values, REFERENCE, target, limit, how)


def answers(backbone: str, variants: dict[str, Callable[[Frames], Logits]], frames: Sequence[Frames]) -> Row:
    """Row `answers`: the share of clips whose best verb and noun are the reference's."""
    expected = [variants[REFERENCE](clip) for clip in frames]
    found = {name: [score(clip) for clip in frames] if name != REFERENCE else expected for name, score in variants.items()}
    shares = {name: [float(np.mean([same_top1(*pair) for pair in zip(given, expected, strict=True)]))] for name, given in found.items()}
    title = f"Clips of the same best verb and noun, {backbone}"
    how = f"{len(frames)} clips of real videos where they are; random weights, heads as loud as trained ones."
    differences = {name: largest_difference(logits, expected) for name, logits in found.items()}
    notes = {name: f"a logit differs by {most:.2g} standard deviations at most" for name, most in differences.items()}
    return Row("answers", title, "of all", shares, REFERENCE, "all", how=how, notes=notes)


def scorers(plain: Network) -> dict[str, Callable[[Frames], Logits]]:
    """By name, ways to score a clip's frames (t, h, w, 3): the reference's, and every engine that this CPU has use for."""
    prepared = prepare(deepcopy(plain))
    engines: dict[str, Engine] = {"PyTorch float32": PytorchEngine(prepared, NUM_CROPS)}
    for engine in (OpenvinoEngine(prepared, NUM_CROPS, floating="float32"), OpenvinoEngine(prepared, NUM_CROPS)):
        engines[f"OpenVINO {engine.precision}"] = engine
    return {REFERENCE: lambda frames: reference(plain, frames), **{name: engine.score for name, engine in engines.items()}}


@torch.no_grad()
def reference(network: Network, frames: Frames) -> Logits:
    """A clip's logits, verb (125,) and noun (352,), as the public EPIC-KITCHENS-55 code comes to them.

    Args:
        network: as it was made or loaded, in evaluation mode: nothing folded, weights in their first layout.
        frames: uint8 RGB (t, h, w, 3), short side 256.
    """
    pictures = [Image.fromarray(frame) for frame in frames]
    width, height = pictures[0].size
    step_x, step_y = (width - CROP) // 4, (height - CROP) // 4
    views: list[Image.Image] = []
    for x, y in ((0, 0), (4, 0), (0, 4), (4, 4), (2, 2)):
        cut = [picture.crop((x * step_x, y * step_y, x * step_x + CROP, y * step_y + CROP)) for picture in pictures]
        views += cut + [picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for picture in cut]
    expected = backbones.find(network.spec.backbone).input
    batch = torch.stack([torch.from_numpy(np.array(view)).permute(2, 0, 1).contiguous().float() * expected.scale for view in views])
    if expected.channel_order == "BGR":
        batch = batch.flip(1)
    batch = (batch - torch.tensor(expected.mean).view(3, 1, 1)) / torch.tensor(expected.std).view(3, 1, 1)
    logits = network(batch.view(NUM_CROPS, len(frames), 3, CROP, CROP))
    return Logits(logits.verb.mean(0), logits.noun.mean(0))


def outspoken(network: Network) -> Network:
    """The network in evaluation mode, with heads as loud as trained ones: TSN starts them so low that all classes tie."""
    with torch.no_grad():
        for head in (network.head.fc_verb, network.head.fc_noun):
            head.weight.mul_(1000)
    return network.eval()


def real_frames(videos: Path, folder: Path) -> list[Frames]:
    """The test frames of every clip that is cut from the videos (.mp4) of a folder."""
    return [middle_of(clip) for video in sorted(videos.glob("*.mp4")) for clip in cut_up(video, folder)]


def middle_of(clip: CutClip, num_segments: int = 8) -> Frames:
    """What a test looks at of a clip: uint8 RGB (t, h, w, 3), short side 256."""
    numbers = [frame for snippet in middle_snippets(clip.num_frames, num_segments) for frame in snippet]
    return read_frames(clip.path, numbers, short_side=256)


def same_top1(logits: Logits, expected: Logits) -> bool:
    """Whether both name the same verb and the same noun."""
    return all(int(a.argmax()) == int(b.argmax()) for a, b in zip(logits, expected, strict=True))


def largest_difference(found: Sequence[Logits], expected: Sequence[Logits]) -> float:
    """Of any logit of any clip, in standard deviations of the clip's expected logits."""
    pairs = [pair for one, other in zip(found, expected, strict=True) for pair in zip(one, other, strict=True)]
    return max(float((a - b).abs().max() / b.std()) for a, b in pairs)


def clip_flop(network: Network) -> float:
    """Floating-point operations of the backbone on the 10 crops of one clip; a multiplication and its addition are two."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network.backbone(example_view(network.spec))
    return float(NUM_CROPS * counter.get_total_flops())


def matrix_flop_per_second(precision: Literal["float32", "bfloat16"], size: int = 4096, repetitions: int = 5) -> float:
    """What this CPU does in a square matrix product, by OpenVINO: the best of a few. torch's own reaches half of it in float32 on AMD."""
    with silenced():
        import openvino
        from openvino import opset13
    numbers = np.random.default_rng(0).random((size, size), np.float32)
    given = opset13.parameter([size, size], np.float32)
    product = openvino.Model([opset13.matmul(given, opset13.constant(numbers), False, False)], [given])
    request = compile_graph(product, precision, 1).create_infer_request()
    request.infer({0: numbers})
    return 2 * float(size) ** 3 / min(alternate({precision: request.infer}, repetitions)[precision])
