"""Fuse trained networks: by equal weights first, then by weights chosen on val."""

import tempfile
import time
from collections.abc import Sequence, Set
from itertools import zip_longest
from pathlib import Path
from typing import Literal

import numpy as np

from tasks.data.clips.frame_cache import FramesAhead, load_few
from tasks.errors import BadConfiguration, BadInput
from tasks.judge.statistics.fusion import fuse
from tasks.judge.statistics.scoring import ScoredClips, score_clips, with_nouns_given
from tasks.keys import file_sha256
from tasks.learn.engines.choice import NUM_CHECKED_CLIPS, ScoringJob, make_engine, spread
from tasks.learn.hardware import choose_device, describe
from tasks.learn.inputs.crops import Frames
from tasks.learn.inputs.snippets import is_silent
from tasks.learn.networks.checkpoints import HeadWeights, Saved, fusion_title, save_fusion
from tasks.learn.networks.network import Network, weights_sha256
from tasks.learn.networks.spec import ClassNames, NetworkSpec, placeholder
from tasks.learn.training.epochs import BEST
from tasks.learn.training.job import joint_spec
from tasks.options import TrainOptions, Weights
from tasks.pipeline._checkpoints import fetch_network, fetch_trained, keep_network
from tasks.pipeline._plans import sound_of
from tasks.pipeline._results import log
from tasks.pipeline._trained import find_trained
from tasks.settings import MachineSettings, load
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetClip, Manifest
from tasks.store.records.training import Fusion, Member, PlanResult, TrainResult, WeightsResult
from tasks.store.run_layout import Training
from tasks.tracking import Tracker
from tasks.wording import some

KINDS: tuple[Literal["verb", "noun"], ...] = ("verb", "noun")


def equal_fusion(names: Sequence[str], store_uri: str, store: Store, joint: TrainOptions | None = None) -> WeightsResult:
    """Store the named networks as one checkpoint with equal weights.

    With `joint`, whose head joins their features, it is the baseline and has the networks.

    Raises:
        BadConfiguration: a name is malformed or stands alone, or a network occurs twice, also by two names or in two fusions.
        BadInput: a member does not exist, belongs to another store, or has another name for a class than the first.
        BadCheckpoint: a member's checkpoint is gone, or its hash is not the recorded one.
    """
    with tempfile.TemporaryDirectory(prefix="retake-fusion-") as folder:
        members: list[Member] = []
        networks: list[Network] = []
        classes: ClassNames | None = None
        known: dict[tuple[NetworkSpec, str], str] = {}
        for name in names:
            trained = find_trained("fuse", name, store_uri, store)
            saved = fetch_trained("fuse", trained, store)
            if saved.joint:
                raise BadConfiguration(
                    f"fuse: {name} answers by the joined features of {len(saved.networks)} networks; fuse these networks instead"
                )
            classes = _joined(classes, saved, name)
            for network in saved.networks:
                identity = network.spec, weights_sha256(network)
                if same := known.get(identity):
                    raise BadConfiguration(
                        f"fuse: {name} {'is' if len(saved.networks) == 1 else 'has'} the same network as {same}; leave one of them out"
                    )
                known[identity] = name
                members.append(
                    Member(
                        name=name,
                        network=network.spec.title,
                        modality=network.spec.modality,
                        flow=network.spec.flow,
                        sound=sound_of(network.spec),
                        run_key=trained.run_key,
                        checkpoint_uri=trained.checkpoint_uri,
                        checkpoint_sha256=trained.checkpoint_sha256,
                    )
                )
                networks.append(network)
        if len(networks) < 2 or classes is None:
            raise BadConfiguration(f"fuse: {', '.join(names)} is one network alone; name two or more")
        path = Path(folder) / "fusion.ckpt"
        save_fusion(path, networks, [HeadWeights(1 / len(networks), 1 / len(networks))] * len(networks), classes)
        fused_uri, sha256 = keep_network(path, store_uri, store)
        title = fusion_title([member.network for member in members], joint_spec(networks, joint) if joint else None)
    log.info("fusing %s", title)
    return WeightsResult(
        backbone="fusion",
        network=title,
        weights=Weights.NONE,
        uri=fused_uri,
        sha256=sha256,
        description=f"the mean of {len(members)} networks with equal weights: {', '.join(dict.fromkeys(m.name for m in members))}",
        is_chance=False,
        members=tuple(members),
    )


def choose_fusion(
    place: Training, plan: PlanResult, manifest: Manifest, store: Store, tracker: Tracker, run_id: str, folder: Path
) -> TrainResult:
    """Choose the weights of each head on val, and write the fused checkpoint, for `train`.

    Each network scores the centre crops of val. The result has no epochs, and `best_val_loss` is `Fusion.chosen_loss`.
    """
    started = time.monotonic()
    clips = [clip for clip in manifest.clips if clip.split == "val"]
    unheard: set[str] = set()
    scored = [with_nouns_given(_score(network, clips, store, unheard), manifest.vocabulary) for network in _saved(plan, store).networks]
    fusion = fuse(_heard_by_all(scored, unheard), [(member.name, member.network) for member in plan.weights.members])
    fusion = fusion.model_copy(update={"num_unheard": len(unheard)})
    # Scoring changed the networks: fetch them again for the checkpoint.
    saved = _saved(plan, store)
    path = folder / BEST
    save_fusion(path, saved.networks, [HeadWeights(m.verb_weight, m.noun_weight) for m in fusion.members], saved.classes)
    store.write_file(place.best, path)
    store.write(place.fusion, fusion)
    evidence = folder / "evidence"
    evidence.mkdir()
    (evidence / "fusion.json").write_text(fusion.model_dump_json(indent=1), encoding="utf-8")
    tracker.log_artifacts(run_id, evidence, "train")
    heads = [target for target in ("verb", "noun") if target in manifest.vocabulary.targets]
    tracker.log_metrics(run_id, _metrics(fusion, heads))
    for member in fusion.members:
        weights = ", ".join(f"{head}s {getattr(member, f'{head}_weight'):.3f}" for head in heads)
        log.info("%s (%s): %s, alone %.3f", member.name, member.network, weights, member.val_loss)
    log.info("val loss %.3f, by equal weights %.3f", fusion.chosen_loss, fusion.equal_loss)
    return TrainResult(
        checkpoint_uri=place.best,
        checkpoint_sha256=file_sha256(path),
        best_epoch=0,
        best_val_loss=fusion.chosen_loss,
        epochs=(),
        stopped_early=False,
        seconds=round(time.monotonic() - started, 3),
        mlflow_run_id=run_id,
        mlflow_run_url=tracker.run_url(run_id),
        hardware=describe(choose_device(load(MachineSettings).device)).flat(),
        fusion=fusion,
    )


def _joined(classes: ClassNames | None, saved: Saved, name: str) -> ClassNames:
    """Add the class names of a member to those of the members before it."""
    if classes is None:
        return saved.classes
    joined: dict[str, tuple[str, ...]] = {}
    for kind in KINDS:
        names: list[str] = []
        for i, (theirs, known) in enumerate(zip_longest(*(getattr(class_names, f"{kind}s") for class_names in (saved.classes, classes)))):
            given = list(dict.fromkeys(class_name for class_name in (known, theirs) if class_name not in (None, placeholder(kind, i))))
            if len(given) > 1:
                raise BadInput(f"fuse: {kind} {i} is {theirs} to {name} and {known} to a network named before it; they have other classes")
            names.append(given[0] if given else placeholder(kind, i))
        joined[f"{kind}s"] = tuple(names)
    return ClassNames(verbs=joined["verbs"], nouns=joined["nouns"], has_objects=saved.classes.has_objects or classes.has_objects)


def _saved(plan: PlanResult, store: Store) -> Saved:
    return fetch_network(store, plan.weights.uri, plan.weights.sha256)


def _heard_by_all(members: Sequence[ScoredClips], unheard: Set[str]) -> list[ScoredClips]:
    """Leave out the clips in which a network of sound has nothing to hear."""
    if not unheard:
        return list(members)
    log.warning(
        "%d of %d val clips have no sound; weights are chosen on the others: %s", len(unheard), len(members[0].uids), some(sorted(unheard))
    )
    is_heard = np.array([uid not in unheard for uid in members[0].uids])
    if not is_heard.any():
        raise BadInput("fuse: no val clip has sound, so that no weight can be chosen for a network that hears; leave such networks out")
    return [member.only(is_heard) for member in members]


def _score(network: Network, clips: Sequence[DatasetClip], store: Store, unheard: set[str]) -> ScoredClips:
    """Score the centre crops; add clips in which the network hears nothing to `unheard`."""
    job = ScoringJob(
        device=choose_device(load(MachineSettings).device),
        num_clips=len(clips),
        num_crops=1,
        checked=lambda: load_few(store, spread(clips, NUM_CHECKED_CLIPS), network.spec),
    )
    with FramesAhead(store, clips, [network.spec]) as ahead:
        engine, _ = make_engine(network, "auto", job)

        def seen(clip: DatasetClip) -> Frames:
            frames = ahead.load(clip)[0]
            if is_silent(frames, network.spec):
                unheard.add(clip.uid)
            return frames

        scored, _ = score_clips(clips, seen, lambda frames: engine.score(frames).numpy(), wait=ahead.wait)
    return scored


def _metrics(fusion: Fusion, heads: Sequence[str]) -> dict[str, float]:
    losses = {"chosen_loss": fusion.chosen_loss, "equal_loss": fusion.equal_loss, "held_out_loss": fusion.held_out_loss}
    weights = {
        f"{i}_{name}": getattr(member, name)
        for i, member in enumerate(fusion.members)
        for name in (*(f"{head}_weight" for head in heads), "val_loss")
    }
    return {f"fusion/{name}": value for name, value in {**losses, **weights}.items() if value is not None}
