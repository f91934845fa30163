"""Build a network with pretrained weights, widen its heads, and describe origin and licence of the weights."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from tasks.errors import BadConfiguration, Unavailable
from tasks.learn.networks import backbones
from tasks.learn.networks.backbone_file import fill_backbone, load_backbone
from tasks.learn.networks.checkpoints import EPIC_BACKBONES, load_epic
from tasks.learn.networks.network import Network
from tasks.learn.networks.sound_recipe import recipe_named
from tasks.learn.networks.spec import CONSENSUS_OF_HEADS, FAMILIES, NetworkSpec
from tasks.learn.networks.weights_file import first_line
from tasks.options import Consensus, Family, FlowOptions, Modality, TrainOptions, Weights
from tasks.store.records.dataset import NUM_EPIC_NOUNS, NUM_EPIC_VERBS
from tasks.video_networks import DEFAULT_VIDEO_NETWORK, VIDEO_NETWORKS

log = logging.getLogger(__name__)

EPIC_ADDRESS = "https://data.bris.ac.uk/datasets/2tw6gdvmfj3f12papdy24flvmo/"

EPIC_SEGMENTS = 8

PERMISSIVE = frozenset({"apache-2.0", "bsd-3-clause", "cc-by-4.0", "mit"})
"""Licences that allow commercial use, as timm calls them."""

NONCOMMERCIAL: Mapping[str, str] = {
    "cc-by-nc-4.0": "CC BY-NC 4.0, https://creativecommons.org/licenses/by-nc/4.0/legalcode",
    "fair-noncommercial-research-license": "FAIR Noncommercial Research License, https://huggingface.co/facebook/MobileLLM-R1-950M",
    "apple-amlr": "Apple Machine Learning Research Model License, https://github.com/apple/ml-mobileclip/blob/main/LICENSE_MODELS",
    "seer-license": "SEER License Agreement, https://github.com/facebookresearch/vissl/blob/main/projects/SEER/MODEL_LICENSE.md",
}
"""Licences that forbid commercial use, by timm's name in `pretrained_cfg`: their titles, and the addresses of the texts."""


def spec_of(options: TrainOptions, backbone: str | None = None) -> NetworkSpec:
    """Build the spec of training options, with EPIC's classes; `backbone` replaces theirs, such as "auto".

    Interpolation "auto" is bilinear here, until the weights are known.
    """
    consensus, temporal_shift = FAMILIES[options.family]
    backbone = backbone or options.backbone
    if options.family is Family.VIDEO and backbone == "auto":
        backbone = DEFAULT_VIDEO_NETWORK
    video = VIDEO_NETWORKS.get(backbone)
    return NetworkSpec(
        backbone=backbone,
        num_segments=video.num_views if video else options.num_segments,
        sampling_window=options.sampling_window,
        interpolation="bicubic" if options.interpolation == "bicubic" and options.modality.is_scaled else "bilinear",
        modality=options.modality,
        flow=options.picked(FlowOptions),
        sound=recipe_named(backbone or options.backbone) if options.modality is Modality.SOUND else None,
        consensus=CONSENSUS_OF_HEADS.get(options.head, consensus),
        temporal_shift=temporal_shift,
        num_verbs=NUM_EPIC_VERBS,
        num_nouns=NUM_EPIC_NOUNS,
    )


@dataclass(frozen=True)
class PublishedFile:
    """A checkpoint published by EPIC-KITCHENS-55; its name ends in `sha256_prefix`."""

    name: str
    sha256_prefix: str

    @property
    def url(self) -> str:
        """Return its public address."""
        return EPIC_ADDRESS + self.name


def _published(family: str, backbone: str, modality: str, sha256_prefix: str) -> PublishedFile:
    name = f"{family}_arch={EPIC_BACKBONES[backbone]}_modality={modality}_segments={EPIC_SEGMENTS}-{sha256_prefix}.pth.tar"
    return PublishedFile(name, sha256_prefix)


PUBLISHED: dict[tuple[str, str, Modality], PublishedFile] = {
    (family, backbone, modality): _published(family, backbone, "RGB" if modality is Modality.RGB else "Flow", sha256_prefix)
    for family, backbone, of_rgb, of_flow in (
        ("TSN", "resnet50", "3ecf904f", "4317bc4a"),
        ("TSN", "bninception", "efb96e64", "4c720ee3"),
        ("TRN", "resnet50", "c8176b38", "c0a2821c"),
        ("TRN", "bninception", "a770bfbd", "4f84b178"),
        ("MTRN", "resnet50", "46337796", "6667f285"),
        ("MTRN", "bninception", "8933f99e", "c0cea7e1"),
        ("TSM", "resnet50", "cfc93918", "e09c2d3a"),
    )
    for modality, sha256_prefix in ((Modality.RGB, of_rgb), (Modality.FLOW, of_flow))
}


def published(spec: NetworkSpec) -> PublishedFile | None:
    """Return the published checkpoint of this network, or of its backbone below a chosen head, if there is one."""
    if spec.num_segments != EPIC_SEGMENTS:
        return None
    return PUBLISHED.get((spec.family, spec.backbone, spec.modality))


@dataclass(frozen=True)
class Start:
    """A network before fine-tuning, which is also the baseline for the comparison."""

    network: Network
    description: str
    is_chance: bool


def scaled_as_published(spec: NetworkSpec) -> NetworkSpec:
    """Let frames be scaled as the images that the backbone's published weights were trained on."""
    if not spec.modality.is_scaled:
        return spec
    return spec.model_copy(update={"interpolation": backbones.find(spec.backbone).interpolation})


def build(spec: NetworkSpec, weights: Weights, *, epic_file: Path | None = None, backbone_file: Path | None = None, seed: int = 0) -> Start:
    """Build a network with pretrained weights.

    Args:
        spec: the network.
        weights: EPIC reads `epic_file`; IMAGENET uses the backbone's published weights, Kinetics-400's of a video network, which may need a
            download (`tf_efficientnet_lite0` never does); FILE reads `backbone_file`; NONE keeps the seeded initialisation. AUTO means EPIC if
            `epic_file` is given, else IMAGENET.
        epic_file: the published file on this disk.
        backbone_file: the user's own weights of the backbone, on this disk.
        seed: of all parameters for which no weights are loaded.

    Raises:
        BadCheckpoint: `epic_file` does not match the hash in its name, or a file holds a different network or backbone.
        BadConfiguration: the spec names something unknown, or weights of a file are requested without it.
        Unavailable: published weights cannot be downloaded; the message says which file to put where.
    """
    if weights is Weights.AUTO:
        weights = Weights.EPIC if epic_file else Weights.IMAGENET
    if weights is Weights.EPIC:
        if epic_file is None:
            raise BadConfiguration(_no_epic_file(spec))
        window = "" if spec.sampling_window == 1 else f", on sampling window {spec.sampling_window:g} instead of the whole clip"
        if spec.has_chosen_head:
            network = Network(spec, seed)
            linear = spec.model_copy(update={"consensus": Consensus.AVERAGE})
            network.backbone.load_state_dict(load_epic(epic_file, linear, seed).backbone.state_dict())
            return _under_untrained_heads(network, f"Backbone of EPIC-KITCHENS-55 as published ({epic_file.name}){window}")
        description = f"EPIC-KITCHENS-55 weights as published ({epic_file.name}){window}"
        return Start(load_epic(epic_file, spec, seed), description, is_chance=False)
    network = Network(spec, seed)
    if weights is Weights.NONE:
        if spec.sound:
            return _under_untrained_heads(network, f"Features of sound ({spec.backbone})")
        return Start(network, "Untrained, seeded network: this baseline is chance", is_chance=True)
    if weights is Weights.FILE:
        if backbone_file is None:
            raise BadConfiguration("weights=file needs the file under backbone_weights")
        tensors = load_backbone(network, backbone_file)
        log.info(
            "of %s used: %s; not used: %s", backbone_file.name, *(", ".join(names) or "nothing" for names in (tensors.used, tensors.unused))
        )
        return _under_untrained_heads(network, f"Backbone of {backbone_file.name} ({tensors})")
    source = _load_published(network)
    return _under_untrained_heads(network, f"{backbones.find(spec.backbone).trained_on} backbone ({source})")


def _under_untrained_heads(network: Network, features: str) -> Start:
    return Start(network, f"{features} under untrained, seeded heads: this baseline is chance", is_chance=True)


def _load_published(network: Network) -> str:
    row = backbones.find(network.spec.backbone)
    if not row.imagenet_source:
        raise BadConfiguration(
            f"backbone {row.name} has no published weights; choose weights none, or name your own under backbone_weights"
        )
    offline = f"{'family TSN and ' if network.spec.video else ''}backbone tf_efficientnet_lite0"
    try:
        tensors, commit = row.imagenet()
        fill_backbone(network, tensors)
    except OSError as error:
        raise Unavailable(
            f"{row.trained_on} weights of {row.name} cannot be downloaded from {row.imagenet_source} ({first_line(error)}); "
            f"put the file into {row.imagenet_cache}, name it under backbone_weights, or choose {offline}, which needs no network"
        ) from error
    except (KeyError, RuntimeError) as error:
        raise BadConfiguration(
            f"{row.trained_on} weights of {row.name} from {row.imagenet_source} do not fit it ({first_line(error)}); choose another backbone"
        ) from error
    warning = licence_warning(row.licence) if row.licence else ""
    if warning:
        log.warning("%s from %s: %s", row.name, row.imagenet_source, warning)
    source = f"{row.imagenet_source}, commit {commit}" if commit else row.imagenet_source
    return "; ".join(filter(None, (source, warning)))


def _no_epic_file(spec: NetworkSpec) -> str:
    file = published(spec)
    if file is None:
        return f"EPIC-KITCHENS-55 published no weights for {spec}; choose weights imagenet, or backbone resnet50"
    return f"the EPIC-KITCHENS-55 weights of {spec} are missing; put {file.name} from {EPIC_ADDRESS} under pretrained/ of the store"


def licence_warning(licence: str) -> str:
    """Warn that a licence forbids commercial use, or that its terms are not known here; empty for a permissive licence."""
    if licence in PERMISSIVE:
        return ""
    if terms := NONCOMMERCIAL.get(licence):
        return f"the licence of these weights forbids commercial use: {terms}"
    return f"the licence of these weights is {licence}, whose terms are not known here; read them before commercial use"


def widen_heads(network: Network, num_verbs: int, num_nouns: int, seed: int) -> Network:
    """Widen the heads to at least `num_verbs` and `num_nouns` outputs; existing classes keep their weights.

    Returns `network` itself if it is large enough. A class's id is its index, so rows of the classifiers are copied by index. Further rows are
    initialised as in a new network of this size and seed.
    """
    spec = network.spec
    sizes = {"num_verbs": max(num_verbs, spec.num_verbs), "num_nouns": max(num_nouns, spec.num_nouns)}
    if sizes == {"num_verbs": spec.num_verbs, "num_nouns": spec.num_nouns}:
        return network
    wider = Network(spec.model_copy(update=sizes), seed)
    known = network.state_dict()
    with torch.no_grad():
        for name, tensor in wider.state_dict().items():
            # Only the classifiers differ in size.
            (tensor[: len(known[name])] if tensor.ndim else tensor).copy_(known[name])
    return wider
