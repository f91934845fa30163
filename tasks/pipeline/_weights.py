"""Find and verify a training's initial weights, and store their network, the baseline."""

import os
import re
import shutil
import tempfile
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from tasks.data.clips.label_inputs import keep_epic_lists
from tasks.disk import FULL, expanded
from tasks.download import download, is_url
from tasks.errors import BadCheckpoint, BadConfiguration, BadInput, RetakeError, Unavailable
from tasks.keys import file_sha256
from tasks.learn.networks.checkpoints import check_name, save, verify_sha256
from tasks.learn.networks.pretrained import PUBLISHED, build, published, scaled_as_published
from tasks.learn.networks.spec import NetworkSpec, no_names, spec_of
from tasks.options import SOUND_BACKBONE, Family, Modality, TrainOptions, Weights
from tasks.pipeline._checkpoints import fetch_trained, keep_file, keep_network
from tasks.pipeline._plans import is_trained
from tasks.pipeline._results import log
from tasks.pipeline._trained import find_trained
from tasks.settings import MachineSettings, load
from tasks.store.layout import Layout
from tasks.store.objects import Store
from tasks.store.records.training import WeightsResult
from tasks.store.run_layout import run_name
from tasks.video_networks import DEFAULT_VIDEO_NETWORK
from tasks.wording import size

AUTO = "auto"
DEFAULT_BACKBONE = "resnet50"
OFFLINE_BACKBONE = "tf_efficientnet_lite0"
MAX_CHECKPOINT_BYTES = 4 << 30
MAX_NAME_BYTES = 200
"""The store's client adds to the name while it writes."""

SHA256 = re.compile(r"[0-9a-f]{64}")


def find_weights(options: TrainOptions, store_uri: str, store: Store) -> WeightsResult:
    """Use the first available start, and log why others are not.

    Raises:
        BadCheckpoint: the hash of a file is not the one in its name.
        BadConfiguration: no such backbone, or no published weights for it.
        BadInput: the trained network to start from is not in this store.
        Unavailable: no start is available; the message says what to put where.
    """
    if options.weights is Weights.TRAINED or is_trained(options.checkpoint or ""):
        return _trained_start(options, store_uri, store)
    failure: RetakeError | None = None
    for backbone, weights in candidates(options):
        try:
            return _start_from(backbone, weights, options, store_uri, store)
        except (Unavailable, BadConfiguration) as error:
            log.warning("%s from %s weights is not available: %s", backbone, weights, error)
            failure = error
    raise failure or BadConfiguration(f"EPIC-KITCHENS-55 published no weights for backbone {options.backbone}")


def candidates(options: TrainOptions) -> list[tuple[str, Weights]]:
    """List the starts that `options` allow, best first."""
    if options.modality is Modality.SOUND:
        return [(SOUND_BACKBONE, Weights.NONE)]
    if options.backbone_weights:
        return [(options.backbone, Weights.FILE)]
    is_video = options.family is Family.VIDEO
    default = DEFAULT_VIDEO_NETWORK if is_video else DEFAULT_BACKBONE
    backbone = default if options.backbone == AUTO else options.backbone
    wanted = [Weights.EPIC, Weights.IMAGENET] if options.weights is Weights.AUTO else [options.weights]
    starts = [(backbone, weights) for weights in wanted]
    if options.backbone == AUTO and Weights.IMAGENET in wanted and not is_video:
        starts.append((OFFLINE_BACKBONE, Weights.IMAGENET))
    if options.checkpoint and options.weights is Weights.AUTO:
        return [c for c in starts if c[1] is Weights.EPIC]
    if options.weights is Weights.AUTO:
        starts = [c for c in starts if c[1] is not Weights.EPIC or published(spec_of(options, c[0]))]
    return starts


def _trained_start(options: TrainOptions, store_uri: str, store: Store) -> WeightsResult:
    """Start from a trained network; `train` adds outputs for new classes."""
    if not options.checkpoint:
        raise BadConfiguration("weights=trained needs the network's name under checkpoint, such as models:/NAME@champion or runs/KEY/")
    if options.weights not in (Weights.AUTO, Weights.TRAINED):
        raise BadConfiguration(
            f"checkpoint {options.checkpoint} is a trained network, and weights is {options.weights}; choose trained, or leave one of them out"
        )
    trained = find_trained("checkpoint", options.checkpoint, store_uri, store)
    spec = fetch_trained("checkpoint", trained, store).network.spec
    if (options.family is Family.VIDEO) != (spec.video is not None):
        raise BadConfiguration(
            f"checkpoint: {trained.name} is {spec.title}, where family {options.family} was asked; choose family {spec.family}"
        )
    asked = spec_of(options, spec.backbone if options.backbone == AUTO else None)
    asked = asked.model_copy(update={"interpolation": spec.interpolation, "sampling_window": spec.sampling_window})
    if spec.title != asked.title:
        raise BadConfiguration(
            f"checkpoint: {trained.name} is {spec.title}, where {asked.title} was asked; choose the options that it was trained with"
        )
    log.info("starting from %s: %s, run %s", trained.name, spec, trained.run_key)
    return WeightsResult(
        backbone=spec.backbone,
        network=spec.title,
        weights=Weights.TRAINED,
        uri=trained.checkpoint_uri,
        sha256=trained.checkpoint_sha256,
        description=f"the network that {run_name(trained.run_key)} trained",
        is_chance=False,
    )


def _start_from(backbone: str, weights: Weights, options: TrainOptions, store_uri: str, store: Store) -> WeightsResult:
    spec = spec_of(options, backbone)
    if weights in (Weights.IMAGENET, Weights.FILE):
        spec = scaled_as_published(spec)
    with tempfile.TemporaryDirectory(prefix="retake-weights-") as name:
        folder = Path(name)
        epic_file = _epic_file(spec, options, store_uri, store, folder) if weights is Weights.EPIC else None
        backbone_file = _backbone_file(options, store_uri, store, folder) if weights is Weights.FILE else None
        backbone_sha256 = file_sha256(backbone_file) if backbone_file else None
        start = build(spec, weights, epic_file=epic_file, backbone_file=backbone_file, seed=options.seed)
        if backbone_file and backbone_sha256:
            keep_file(backbone_file, Layout(store_uri).backbone_weights(backbone_sha256), store)
        path = folder / "start.ckpt"
        save(path, start.network, no_names(spec))
        uri, sha256 = keep_network(path, store_uri, store)
    log.info("starting from %s: %s", spec, start.description)
    return WeightsResult(
        backbone=backbone,
        network=spec.title,
        weights=weights,
        uri=uri,
        sha256=sha256,
        description=start.description,
        is_chance=start.is_chance,
        backbone_sha256=backbone_sha256,
    )


def _backbone_file(options: TrainOptions, store_uri: str, store: Store, folder: Path) -> Path:
    """Fetch the user's own weights, from disk, an address, or the store by their hash."""
    source = options.backbone_weights or ""
    if SHA256.fullmatch(source):
        path = folder / source
        store.read_file(uri := Layout(store_uri).backbone_weights(source), path)
        if file_sha256(path) != source:
            raise BadCheckpoint(f"{uri} is not the file that its name says; delete it, and give the file itself")
        return path
    return _fetch(source, store, folder, is_published=False)


def _epic_file(spec: NetworkSpec, options: TrainOptions, store_uri: str, store: Store, folder: Path) -> Path:
    """Fetch the published file: as given, from the store, or from the web into it."""
    named = next((file for file in PUBLISHED.values() if file.name == options.checkpoint), None)
    if options.checkpoint and named is None:
        return _fetch(options.checkpoint, store, folder, is_published=True)
    file = named or published(spec)
    if file is None:
        raise BadConfiguration(f"EPIC-KITCHENS-55 published no weights for {spec}; choose weights imagenet, or backbone {DEFAULT_BACKBONE}")
    kept = Layout(store_uri).pretrained(file.name)
    if store.exists(kept):
        return _fetch(kept, store, folder, is_published=True)
    try:
        path = _fetch(file.url, store, folder, is_published=True)
        verify_sha256(path)
    except (BadInput, Unavailable) as error:
        # A wrong file from the public address, such as a proxy's own page, is not the user's mistake.
        raise Unavailable(f"{error}; or put {file.name} under pretrained/ of the store") from error
    store.write_file(kept, path)
    keep_epic_lists(store, store_uri, allow_private=load(MachineSettings).allow_private_addresses)
    return path


def _fetch(source: str, store: Store, folder: Path, *, is_published: bool) -> Path:
    if not is_url(source):
        return _local_file(source, folder)
    path = folder / _name_of(source, is_published=is_published)
    if source.startswith("s3://"):
        if stored := store.stat(source):
            _check_size(source, stored.size_bytes)
        store.read_file(source, path)
    else:
        log.info("downloading %s", source)
        download(source, path, max_bytes=MAX_CHECKPOINT_BYTES, allow_private=load(MachineSettings).allow_private_addresses)
    return path


def _name_of(address: str, *, is_published: bool) -> str:
    """Read the name of a file, which ends in a hash if it is published."""
    try:
        name = PurePosixPath(address if address.startswith("s3://") else unquote(urlsplit(address).path)).name
    except ValueError as error:
        raise BadCheckpoint(f"{address!r} is not an address ({error}); correct it") from error
    if is_published:
        check_name(name)
    if name in ("", "..") or not name.isprintable() or len(name.encode()) > MAX_NAME_BYTES:
        remedy = "keep the name that it was published under" if is_published else "give the address of a file"
        raise BadCheckpoint(f"{address!r}: no file can have this name; {remedy}")
    return name


def _local_file(source: str, folder: Path) -> Path:
    """Copy a file into `folder`."""
    try:
        path = expanded(source)
        if path.is_file():
            # Opened once, so that nothing takes its place between check and use.
            with path.open("rb") as file, (folder / path.name).open("wb") as copy:
                _check_size(source, os.fstat(file.fileno()).st_size)
                shutil.copyfileobj(file, copy)
            return folder / path.name
    except (OSError, BadConfiguration) as error:
        if isinstance(error, OSError) and error.errno in FULL:
            raise
        raise BadCheckpoint(f"{source!r} cannot be read ({error})") from error
    raise BadCheckpoint(f"{source!r}: no such file on the machine that runs this step; give a file, s3:// or http(s) address")


def _check_size(source: str, size_bytes: int) -> None:
    if not 0 < size_bytes <= MAX_CHECKPOINT_BYTES:
        raise BadCheckpoint(f"{source}: {size(size_bytes)}, where a file of weights has up to {size(MAX_CHECKPOINT_BYTES)}")
