"""Networks as steps need them: fetched from the store, and named."""

import hashlib
from pathlib import Path

from tasks.errors import BadCheckpoint
from tasks.model.checkpoints import ClassNames, Saved, load
from tasks.model.spec import FAMILIES, NetworkSpec
from tasks.options import FlowOptions, TrainOptions
from tasks.results.dataset import Vocabulary
from tasks.storage import Store

NUM_VERBS = 125
NUM_NOUNS = 352
CHECKPOINT = "network.ckpt"


def spec_of(options: TrainOptions, backbone: str | None = None) -> NetworkSpec:
    """The network that `options` name; `backbone` takes the place of theirs, say of "auto"."""
    consensus, temporal_shift = FAMILIES[options.family]
    return NetworkSpec(
        backbone=backbone or options.backbone,
        num_segments=options.num_segments,
        modality=options.modality,
        flow=options.picked(FlowOptions),
        consensus=consensus,
        temporal_shift=temporal_shift,
        relation_draws=options.relation_draws,
        relation_seed=options.seed if options.relation_draws else 0,
        num_verbs=NUM_VERBS,
        num_nouns=NUM_NOUNS,
    )


def class_names(vocabulary: Vocabulary) -> ClassNames:
    """A name for every logit: the vocabulary's, else `verb-7` or `noun-7`."""
    verbs = {ref.id: ref.name for ref in vocabulary.verbs}
    nouns = {ref.id: ref.name for ref in vocabulary.nouns}
    return ClassNames(
        verbs=tuple(verbs.get(i, f"verb-{i}") for i in range(NUM_VERBS)),
        nouns=tuple(nouns.get(i, f"noun-{i}") for i in range(NUM_NOUNS)),
        has_objects=vocabulary.has_objects,
    )


def file_sha256(path: Path) -> str:
    """The hash of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fetch_network(store: Store, uri: str, sha256: str, folder: Path) -> Saved:
    """A checkpoint of ours from the store, verified by its hash, which is left as `CHECKPOINT` in the folder.

    Raises:
        MissingObject: there is none.
        BadCheckpoint: its content is not what was recorded.
    """
    path = folder / CHECKPOINT
    store.read_file(uri, path)
    if file_sha256(path) != sha256:
        raise BadCheckpoint(f"{uri} is not the file that was recorded (sha256 {sha256[:8]}…); run the step that writes it again")
    return load(path)
