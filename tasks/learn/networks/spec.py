"""Specify a network: parts, input of each modality, and classes. Imports no torch."""

# p: 8-bit planes of a snippet

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from tasks.options import Consensus, Family, FlowOptions, Head, Interpolation, Modality, TrainOptions
from tasks.store.records.dataset import NO_OBJECT, NOTHING, NUM_EPIC_NOUNS, NUM_EPIC_VERBS, Vocabulary
from tasks.video_networks import DEFAULT_VIDEO_NETWORK, VIDEO_NETWORKS, Triple, VideoNetwork

MAX_SEGMENTS = 64
MAX_DRAWS = 10_000
MAX_CLASSES = 10_000
"""Upper limits; a checkpoint that claims more is rejected before a network is built."""

SHORT_SIDE = 256
"""Short side of cached frames and flow fields, in pixels. TSN's protocol cuts its crops from this size."""

NUM_MELS = 128
NUM_SOUND_FEATURES = 2 * NUM_MELS
"""Of a window: mean and deviation of each band."""

IMAGENET_MEAN: Triple = (0.485, 0.456, 0.406)
IMAGENET_STD: Triple = (0.229, 0.224, 0.225)
HALF: Triple = (0.5, 0.5, 0.5)
CROP_PIXELS = 224


@dataclass(frozen=True)
class InputFormat:
    """Input of a backbone: 224x224 pixels, (8-bit value * scale - mean) / std."""

    channel_order: Literal["RGB", "BGR"]
    scale: float
    mean: Triple
    std: Triple


@dataclass(frozen=True)
class SnippetFormat:
    """Conversion of the planes of a snippet to the channels of a backbone.

    It is (8-bit value * scale - mean) / std per plane, then `arrange`. `mean` and `std` are (p,), in stored order. "reversed" reverses each
    frame's three planes, "differences" are from frame to frame, and "video" keeps the frames apart for a video network.
    """

    scale: float
    mean: tuple[float, ...]
    std: tuple[float, ...]
    arrange: Literal["as they are", "reversed", "differences", "reversed differences", "video"]


@dataclass(frozen=True)
class Snippet:
    """A network's input for one segment: consecutive frames of the clip or of its flow.

    `frame_planes` are 8-bit planes per frame: red, green and blue, or x and y. `num_channels` are the backbone's. `in_words` is for people
    who fill a tensor by hand. `crop_scales` are side lengths of a multi-scale crop, relative to the frame's short side.
    """

    num_frames: int
    frame_planes: int
    num_channels: int
    in_words: str = ""
    crop_scales: tuple[float, ...] = (1, 0.875, 0.75)

    @property
    def num_planes(self) -> int:
        """Count the 8-bit planes of the whole snippet."""
        return self.num_frames * self.frame_planes


SNIPPETS: Mapping[Modality, Snippet] = {
    Modality.RGB: Snippet(1, frame_planes=3, num_channels=3, in_words="one RGB frame each", crop_scales=(1, 0.875, 0.75, 0.66)),
    Modality.FLOW: Snippet(5, frame_planes=2, num_channels=10, in_words="5 flow frames in a row each, x and y by turns, 8 bit"),
    Modality.RGB_DIFFERENCE: Snippet(6, frame_planes=3, num_channels=15, in_words="6 RGB frames in a row each"),
    Modality.SOUND: Snippet(1, frame_planes=1, num_channels=1),
}
"""TSN's snippets (arXiv 1608.00859): one frame; 5 flow fields of x and y; 5 differences of 6 frames. Of sound, one window's features."""

FAMILIES: Mapping[Family, tuple[Consensus, bool]] = {
    Family.TSN: (Consensus.AVERAGE, False),
    Family.TRN: (Consensus.RELATION, False),
    Family.MTRN: (Consensus.MULTISCALE_RELATION, False),
    Family.TSM: (Consensus.AVERAGE, True),
    Family.VIDEO: (Consensus.AVERAGE, False),
}
"""Consensus of each family over segments or views, and whether its backbone has temporal shift."""

CONSENSUS_OF_HEADS: Mapping[Head, Consensus] = {head: Consensus[head.name] for head in Head if head.name in Consensus.__members__}
"""Consensus that a head puts in the place of the family's."""


class DescribedSound(BaseModel):
    """The described sound that a network hears."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    # Without use; they keep the bytes of stored checkpoints, and so the names of runs.
    network: None = None
    speech: None = None


class NetworkSpec(BaseModel):
    """One network: backbone, optional temporal shift, consensus, and the sizes of both heads.

    - `interpolation` scales frames, but not those of flow, to short side 256.
    - `flow` and `sound` are set if they are the modality; with sound, `backbone` names its features.
    - `joined` are the numbers of features of other networks, which are joined in place of a backbone.

    Checkpoints of older versions alone set these:

    - `sampling_window`: segments are spread over this middle share of a clip.
    - `relation_draws`: number of samples of three relations per scale that a multi-scale relation averages in testing, seeded by
      `relation_seed`; 0 averages over all possible samples.

    Fields that are left out at their defaults keep the keys of earlier versions.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    backbone: str
    num_segments: int = Field(8, ge=1, le=MAX_SEGMENTS)
    sampling_window: float = Field(1, gt=0, le=1, exclude_if=lambda window: window == 1)
    interpolation: Interpolation = Field("bilinear", exclude_if=lambda interpolation: interpolation == "bilinear")
    modality: Modality = Modality.RGB
    flow: FlowOptions | None = None
    sound: DescribedSound | None = Field(None, exclude_if=lambda recipe: recipe is None)
    consensus: Consensus = Consensus.AVERAGE
    temporal_shift: bool = False
    relation_draws: int = Field(0, ge=0, le=MAX_DRAWS)
    relation_seed: int = 0
    joined: tuple[int, ...] = Field((), exclude_if=lambda sizes: not sizes)
    num_verbs: int = Field(NUM_EPIC_VERBS, ge=1, le=MAX_CLASSES)
    num_nouns: int = Field(NUM_EPIC_NOUNS, ge=1, le=MAX_CLASSES)

    @model_validator(mode="before")
    @classmethod
    def _set_input_by_modality(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values  # already a spec
        modality = values.get("modality")
        return {
            **values,
            "flow": (values.get("flow") or FlowOptions()) if modality == Modality.FLOW else None,
            "sound": (values.get("sound") or DescribedSound()) if modality == Modality.SOUND else None,
        }

    @property
    def video(self) -> VideoNetwork | None:
        """Return the video network, whose segments are views; None if the backbone sees single pictures."""
        return VIDEO_NETWORKS.get(self.backbone)

    @property
    def snippet(self) -> Snippet:
        """Return the input for one segment, or one view."""
        if self.video:
            return Snippet(self.video.num_frames, 3, 3 * self.video.num_frames)
        return SNIPPETS[self.modality]

    @property
    def crop_pixels(self) -> int:
        """Return the side of the network's crops, in pixels."""
        return self.video.crop_pixels if self.video else CROP_PIXELS

    def num_crops(self, wanted: Literal[1, 10]) -> Literal[1, 10]:
        """Return the number of crops in testing: `wanted`, but one for sound and video networks."""
        return 1 if self.video or self.sound else wanted

    @property
    def num_frames(self) -> int:
        """Count the frames, or flow fields, that the network sees per clip."""
        return self.num_segments * self.snippet.num_frames

    @property
    def family(self) -> str:
        """Return the name in the literature: TSN, TRN, MTRN or TSM; 3D for video networks."""
        if self.video:
            return Family.VIDEO.value
        consensus = Consensus.AVERAGE if self.has_chosen_head else self.consensus
        names = (family.value for family, parts in FAMILIES.items() if parts == (consensus, self.temporal_shift))
        return next(names, f"TSM with {self.consensus.value}")

    @property
    def has_chosen_head(self) -> bool:
        """Check whether the option `head` replaced the family's head."""
        return self.consensus in CONSENSUS_OF_HEADS.values()

    @property
    def title(self) -> str:
        """Return the network's title for people, without the classes."""
        if self.joined:
            return f"features of {len(self.joined)} networks joined, {self.consensus.value if self.has_chosen_head else 'linear'} head"
        drawn = f", {self.relation_draws or 'all'} draws of relations" if self.consensus is Consensus.MULTISCALE_RELATION else ""
        seen = f"{self.modality.value} ({self.flow.flow_method})" if self.flow else self.modality.value
        window = "" if self.sampling_window == 1 else f", window {self.sampling_window:g}"
        scaled = "" if self.interpolation == "bilinear" else f", {self.interpolation}"
        head = f", {self.consensus.value} head" if self.has_chosen_head else ""
        snippets = ("view" if self.num_segments == 1 else "views") if self.video else "segments"
        return f"{self.family} {self.backbone} {seen}, {self.num_segments} {snippets}{window}{scaled}{drawn}{head}"

    def __str__(self) -> str:
        return f"{self.title}, {self.num_verbs} verbs, {self.num_nouns} nouns"


def trained_view(spec: NetworkSpec, options: TrainOptions) -> NetworkSpec:
    """Return the spec of a training step: video networks that learn see one view."""
    return spec if spec.video is None or options.trainable == "heads" else spec.model_copy(update={"num_segments": 1})


def snippet_format(image: InputFormat, modality: Modality, video: VideoNetwork | None = None) -> SnippetFormat:
    """Derive the snippet format of a modality from a backbone's image format.

    Flow is centred on no motion and divided by the mean of `std`, as in TSN and EPIC-KITCHENS-55. RGB differences are taken between
    normalised frames, so they are divided by `std` too; TSN's code divides them only by 255.
    """
    if modality is Modality.SOUND:
        return SnippetFormat(1, (0,), (1,), "as they are")
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
    return SnippetFormat(image.scale, mean * num_frames, std * num_frames, "reversed" if reverse else "as they are")


def spec_of(options: TrainOptions, backbone: str | None = None) -> NetworkSpec:
    """Build the spec of training options, with EPIC's classes; `backbone` replaces theirs, such as "auto"."""
    consensus, temporal_shift = FAMILIES[options.family]
    backbone = backbone or options.backbone
    if options.family is Family.VIDEO and backbone == "auto":
        backbone = DEFAULT_VIDEO_NETWORK
    video = VIDEO_NETWORKS.get(backbone)
    return NetworkSpec(
        backbone=backbone,
        num_segments=video.num_views if video else options.num_segments,
        modality=options.modality,
        flow=options.picked(FlowOptions),
        consensus=CONSENSUS_OF_HEADS.get(options.head, consensus),
        temporal_shift=temporal_shift,
    )


class ClassNames(BaseModel):
    """Class names by id. Without objects, only verbs were trained, and noun logits are meaningless."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    verbs: tuple[str, ...]
    nouns: tuple[str, ...]
    has_objects: bool = True

    def content(self) -> dict[str, object]:
        """Return the names as stored in a checkpoint, without defaults, which keeps earlier checkpoints' bytes."""
        return self.model_dump(mode="json", exclude_defaults=True)

    @property
    def known_verbs(self) -> frozenset[int]:
        """List the ids of the verbs that the network can predict: named ones, or all."""
        return self._known("verb", self.verbs)

    @property
    def known_nouns(self) -> frozenset[int]:
        """List the ids of the nouns that the network can predict, only `given_noun` if any."""
        return self._known("noun", self.nouns) if self.given_noun is None else frozenset({self.given_noun})

    @property
    def given_noun(self) -> int | None:
        """Return the id of "no object", which a network without objects always predicts, else None."""
        return None if self.has_objects else self.nouns.index(NO_OBJECT)

    @property
    def nothing(self) -> int | None:
        """Return the id of the verb of clips in which nothing happens, if any."""
        return self.verbs.index(NOTHING) if NOTHING in self.verbs else None

    def _known(self, target: Literal["verb", "noun"], names: Sequence[str]) -> frozenset[int]:
        named = frozenset(i for i, name in enumerate(names) if name != placeholder(target, i))
        return named or frozenset(range(len(names)))


def placeholder(target: Literal["verb", "noun"], class_id: int) -> str:
    """Return the placeholder name of an unnamed class, such as `verb-7`."""
    return f"{target}-{class_id}"


def no_names(spec: NetworkSpec) -> ClassNames:
    """Return placeholder names for every logit, as before training."""
    return ClassNames(
        verbs=tuple(placeholder("verb", i) for i in range(spec.num_verbs)),
        nouns=tuple(placeholder("noun", i) for i in range(spec.num_nouns)),
    )


def trained_names(vocabulary: Vocabulary, start: ClassNames, spec: NetworkSpec) -> ClassNames:
    """Name every logit of a trained network: by the vocabulary, else as before training."""
    unnamed = no_names(spec)
    verbs = dict(enumerate(unnamed.verbs)) | dict(enumerate(start.verbs)) | {ref.id: ref.name for ref in vocabulary.verbs}
    nouns = dict(enumerate(unnamed.nouns)) | dict(enumerate(start.nouns)) | {ref.id: ref.name for ref in vocabulary.nouns}
    return ClassNames(verbs=tuple(verbs.values()), nouns=tuple(nouns.values()), has_objects=vocabulary.has_objects)
