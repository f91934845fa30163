"""Say how pixels become the values that a backbone takes."""

# p: 8-bit planes of a snippet

from dataclasses import dataclass
from typing import Literal

from tasks.learn.spec import SNIPPETS
from tasks.options import Modality
from tasks.video_networks import Triple, VideoNetwork

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
HALF: Triple = (0.5, 0.5, 0.5)
CROP_PIXELS = 224


@dataclass(frozen=True)
class InputFormat:
    """Input of a backbone, 224x224, with three channels in `channel_order`.

    Values are (8-bit value * scale - mean) / std.
    """

    channel_order: Literal["RGB", "BGR"]
    scale: float
    mean: Triple
    std: Triple


@dataclass(frozen=True)
class SnippetFormat:
    """Conversion of snippet planes to backbone channels.

    (8-bit value * scale - mean) / std per plane, then `arrange`.

    Attributes:
        scale: of all planes.
        mean, std: (p,) per plane, in stored order.
        arrange: "as they are", each frame's three planes "reversed", their "differences" from frame to frame, or both; "video" keeps the
            frames apart, as a video network sees them.
    """

    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    arrange: Literal["as they are", "reversed", "differences", "reversed differences", "video"]


def snippet_format(image: InputFormat, modality: Modality, video: VideoNetwork | None = None) -> SnippetFormat:
    """Derive the snippet format of a modality from a backbone's image format.

    Flow is centred on no motion and divided by the mean of `std`, as in TSN and EPIC-KITCHENS-55. RGB differences are taken between
    normalised frames, so they are divided by `std` too; TSN's code divides them only by 255. A spectrogram is a grey picture, and
    features of sound stay as they are.
    """
    if modality is Modality.SOUND:
        return SnippetFormat(1, (0,), (1,), "as they are")
    if modality is Modality.SPECTROGRAM:
        # The first layer is the mean over three colours. A third of their deviation makes the picture as strong as in all three.
        return SnippetFormat(image.scale, (sum(image.mean) / 3,), (sum(image.std) / 9,), "as they are")
    if video:
        return SnippetFormat(image.scale, image.mean * video.num_frames, image.std * video.num_frames, "video")
    num_frames = SNIPPETS[modality].num_frames
    if modality is Modality.FLOW:
        num_planes = SNIPPETS[modality].num_planes
        centre = 128.0 if image.scale == 1 else 127.5 * image.scale
        return SnippetFormat(image.scale, (centre,) * num_planes, (sum(image.std) / 3,) * num_planes, "as they are")
    reverse = image.channel_order == "BGR"
    mean, std = (values[::-1] if reverse else values for values in (image.mean, image.std))
    if modality is Modality.RGB_DIFFERENCE:
        return SnippetFormat(image.scale, mean * num_frames, std * num_frames, "reversed differences" if reverse else "differences")
    return SnippetFormat(image.scale, mean, std, "reversed" if reverse else "as they are")
