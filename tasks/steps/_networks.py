"""Networks as steps need them: fetched from the store, and named."""

import hashlib
from pathlib import Path

from tasks.errors import BadCheckpoint
from tasks.model.checkpoints import ClassNames, Saved, load, placeholder
from tasks.model.spec import FAMILIES, NetworkSpec
from tasks.options import FlowOptions, TrainOptions
from tasks.results.dataset import NUM_EPIC_NOUNS, NUM_EPIC_VERBS, Vocabulary
from tasks.storage import Store

CHECKPOINT = "network.ckpt"


def spec_of(options: TrainOptions, backbone: str | None = None) -> NetworkSpec:
    """The network that `options` name, with EPIC's classes; `backbone` takes the place of theirs, say of "auto"."""
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
        num_verbs=NUM_EPIC_VERBS,
        num_nouns=NUM_EPIC_NOUNS,
    )


def no_names(spec: NetworkSpec) -> ClassNames:
    """`verb-7` or `noun-7` for every logit: the names in a start, whose classes nobody has named."""
    return ClassNames(
        verbs=tuple(placeholder("verb", i) for i in range(spec.num_verbs)),
        nouns=tuple(placeholder("noun", i) for i in range(spec.num_nouns)),
    )


def class_names(vocabulary: Vocabulary, start: ClassNames, spec: NetworkSpec) -> ClassNames:
    """A name for every logit of a network that was trained: the vocabulary's, else the one that its start had."""
    unnamed = no_names(spec)
    verbs = dict(enumerate(unnamed.verbs)) | dict(enumerate(start.verbs)) | {ref.id: ref.name for ref in vocabulary.verbs}
    nouns = dict(enumerate(unnamed.nouns)) | dict(enumerate(start.nouns)) | {ref.id: ref.name for ref in vocabulary.nouns}
    return ClassNames(verbs=tuple(verbs.values()), nouns=tuple(nouns.values()), has_objects=vocabulary.has_objects)


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
