"""List the networks that see whole stretches of a clip, with input and output.

The published weights were tested with these frames, rates, sizes, normalisations and views. Sources: for torchvision `transforms()` and
`meta` of the weights, which `tests/learn/test_video_networks.py` compares; for transformers the processors (size, normalisation), and the
evaluations (rate, views) of VideoMAE on Kinetics-400 (arXiv 2203.12602) and of V-JEPA 2 on Something-Something v2 (arXiv 2506.09985). Licences:
github.com/MCG-NJU/VideoMAE and github.com/facebookresearch/vjepa2.
"""

from collections.abc import Mapping
from dataclasses import dataclass

Triple = tuple[float, float, float]

CLIP_FPS = 30
"""Frame rate of clips by default; strides count their frames."""


@dataclass(frozen=True)
class VideoNetwork:
    """The input, output and source of a video network.

    Attributes:
        num_frames: frames of a snippet.
        frame_stride: distance between frames of a snippet, in frames of a clip at 30 per second.
        num_views: snippets of a clip in a test, evenly spread.
        resize: short side, or height and width, to which frames are scaled bilinearly.
        crop_pixels: side of the centre crop of the scaled frames.
        mean, std: of values from 0 to 1, red, green and blue.
        num_features: length of a snippet's feature vector.
        repository: of a network of transformers, its name on the Hugging Face hub. Their frames are scaled with antialiasing.
        licence: of the published weights, by the hub's name; empty if none is known.
    """

    name: str
    num_frames: int
    frame_stride: int
    num_views: int
    resize: tuple[int] | tuple[int, int]
    crop_pixels: int
    mean: Triple
    std: Triple
    num_features: int
    repository: str = ""
    licence: str = ""

    @property
    def span(self) -> int:
        """Count the clip's frames from the first of a snippet to its last."""
        return (self.num_frames - 1) * self.frame_stride + 1


KINETICS: tuple[Triple, Triple] = ((0.43216, 0.394666, 0.37645), (0.22803, 0.22145, 0.216989))
SLOWFAST: tuple[Triple, Triple] = ((0.45, 0.45, 0.45), (0.225, 0.225, 0.225))
IMAGENET: tuple[Triple, Triple] = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def _videomae(name: str, num_features: int) -> VideoNetwork:
    return VideoNetwork(name, 16, 4, 5, (224,), 224, *IMAGENET, num_features, f"MCG-NJU/{name}", "cc-by-nc-4.0")


def _vjepa2(name: str, crop_pixels: int, num_features: int) -> VideoNetwork:
    return VideoNetwork(name, 64, 2, 2, (crop_pixels * 256 // 224,), crop_pixels, *IMAGENET, num_features, f"facebook/{name}", "mit")


VIDEO_NETWORKS: Mapping[str, VideoNetwork] = {
    row.name: row
    for row in (
        VideoNetwork("r3d_18", 16, 2, 5, (128, 171), 112, *KINETICS, 512),
        VideoNetwork("mc3_18", 16, 2, 5, (128, 171), 112, *KINETICS, 512),
        VideoNetwork("r2plus1d_18", 16, 2, 5, (128, 171), 112, *KINETICS, 512),
        VideoNetwork("s3d", 128, 2, 1, (256, 256), 224, *KINETICS, 1024),
        VideoNetwork("mvit_v1_b", 16, 4, 5, (256,), 224, *SLOWFAST, 768),
        VideoNetwork("mvit_v2_s", 16, 4, 5, (256,), 224, *SLOWFAST, 768),
        VideoNetwork("swin3d_t", 32, 2, 12, (256,), 224, *IMAGENET, 768),
        VideoNetwork("swin3d_s", 32, 2, 12, (256,), 224, *IMAGENET, 768),
        VideoNetwork("swin3d_b", 32, 2, 12, (256,), 224, *IMAGENET, 1024),
        _videomae("videomae-base", 768),
        _videomae("videomae-large", 1024),
        _videomae("videomae-small-finetuned-kinetics", 384),
        _videomae("videomae-base-finetuned-kinetics", 768),
        _videomae("videomae-large-finetuned-kinetics", 1024),
        _videomae("videomae-huge-finetuned-kinetics", 1280),
        _vjepa2("vjepa2-vitl-fpc64-256", 256, 1024),
        _vjepa2("vjepa2-vith-fpc64-256", 256, 1280),
        _vjepa2("vjepa2-vitg-fpc64-256", 256, 1408),
        _vjepa2("vjepa2-vitg-fpc64-384", 384, 1408),
    )
}
"""By the name of the backbone."""

DEFAULT_VIDEO_NETWORK = "r2plus1d_18"
