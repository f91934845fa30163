"""Build a network with pretrained weights, and describe where they come from."""

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from tasks.errors import BadConfiguration, Unavailable
from tasks.model import backbones
from tasks.model.checkpoints import EPIC_BACKBONES, load_epic
from tasks.model.network import Network
from tasks.model.shift import unshifted_key
from tasks.model.spec import NetworkSpec
from tasks.model.weights_file import first_line
from tasks.options import Modality, Weights

EPIC_ADDRESS = "https://data.bris.ac.uk/datasets/2tw6gdvmfj3f12papdy24flvmo/"
EPIC_SEGMENTS = 8


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
    for family, backbone, modality, sha256_prefix in (
        ("TSN", "resnet50", Modality.RGB, "3ecf904f"),
        ("TSN", "resnet50", Modality.FLOW, "4317bc4a"),
        ("TSN", "bninception", Modality.RGB, "efb96e64"),
        ("TSN", "bninception", Modality.FLOW, "4c720ee3"),
        ("TRN", "resnet50", Modality.RGB, "c8176b38"),
        ("TRN", "resnet50", Modality.FLOW, "c0a2821c"),
        ("TRN", "bninception", Modality.RGB, "a770bfbd"),
        ("TRN", "bninception", Modality.FLOW, "4f84b178"),
        ("MTRN", "resnet50", Modality.RGB, "46337796"),
        ("MTRN", "resnet50", Modality.FLOW, "6667f285"),
        ("MTRN", "bninception", Modality.RGB, "8933f99e"),
        ("MTRN", "bninception", Modality.FLOW, "c0cea7e1"),
        ("TSM", "resnet50", Modality.RGB, "cfc93918"),
        ("TSM", "resnet50", Modality.FLOW, "e09c2d3a"),
    )
}


def published(spec: NetworkSpec) -> PublishedFile | None:
    """Return the published checkpoint of this network, if there is one.

    They were trained on whole clips. No weight depends on the sampling window.
    """
    if spec.num_segments != EPIC_SEGMENTS:
        return None
    return PUBLISHED.get((spec.family, spec.backbone, spec.modality))


@dataclass(frozen=True)
class Start:
    """A network before fine-tuning, which is also the baseline for the comparison."""

    network: Network
    description: str
    is_chance: bool


def build(spec: NetworkSpec, weights: Weights, *, epic_file: Path | None = None, seed: int = 0) -> Start:
    """Build a network with pretrained weights.

    Args:
        spec: the network.
        weights: EPIC reads `epic_file`; IMAGENET uses the backbone's source, which may need a download (`tf_efficientnet_lite0` never
            does); NONE keeps the seeded initialisation. AUTO means EPIC if `epic_file` is given, else IMAGENET.
        epic_file: the published file on this disk.
        seed: of all parameters for which no weights are loaded.

    Raises:
        BadCheckpoint: `epic_file` does not match the hash in its name, or holds a different network.
        BadConfiguration: the spec names something unknown, or EPIC weights are requested without a file.
        Unavailable: ImageNet weights cannot be downloaded; the message says which file to put where.
    """
    if weights is Weights.AUTO:
        weights = Weights.EPIC if epic_file else Weights.IMAGENET
    if weights is Weights.EPIC:
        if epic_file is None:
            raise BadConfiguration(_no_epic_file(spec))
        window = "" if spec.sampling_window == 1 else f", on sampling window {spec.sampling_window:g} instead of the whole clip"
        description = f"EPIC-KITCHENS-55 weights as published ({epic_file.name}){window}"
        return Start(load_epic(epic_file, spec, seed), description, is_chance=False)
    network = Network(spec, seed)
    if weights is Weights.NONE:
        return Start(network, "Untrained, seeded network: this baseline is chance", is_chance=True)
    source = _load_imagenet(network)
    return Start(network, f"ImageNet backbone ({source}) under untrained, seeded heads: this baseline is chance", is_chance=True)


def _load_imagenet(network: Network) -> str:
    row = backbones.find(network.spec.backbone)
    try:
        theirs = row.imagenet()
        found = {key: theirs[unshifted_key(network.backbone, key)] for key in network.backbone.state_dict()}
        network.backbone.load_state_dict(_widened(found, network.spec.snippet.num_channels))
    except OSError as error:
        raise Unavailable(
            f"ImageNet weights of {row.name} cannot be downloaded from {row.imagenet_source} ({first_line(error)}); "
            f"put the file into {row.imagenet_cache}, or choose backbone tf_efficientnet_lite0, which needs no network"
        ) from error
    except (KeyError, RuntimeError) as error:
        raise BadConfiguration(
            f"ImageNet weights of {row.name} from {row.imagenet_source} do not fit it ({first_line(error)}); choose another backbone"
        ) from error
    return row.imagenet_source


def _widened(state: dict[str, Tensor], num_channels: int) -> dict[str, Tensor]:
    """Adapt the first convolution (f, 3, h, w) to `num_channels`.

    It is the mean over colours, repeated per channel. TSN's cross-modality initialisation (arXiv 1608.00859, section 3.3).
    """
    first = next(key for key, value in state.items() if value.ndim == 4)
    if state[first].shape[1] == num_channels:
        return state
    return {**state, first: state[first].mean(1, keepdim=True).expand(-1, num_channels, -1, -1)}


def _no_epic_file(spec: NetworkSpec) -> str:
    file = published(spec)
    if file is None:
        return f"EPIC-KITCHENS-55 published no weights for {spec}; choose weights imagenet, or backbone resnet50"
    return f"the EPIC-KITCHENS-55 weights of {spec} are missing; put {file.name} from {EPIC_ADDRESS} under pretrained/ of the store"
