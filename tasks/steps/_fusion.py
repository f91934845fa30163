"""Networks that were trained before, fused: who they are, the fusion by equal weights, and the choice of weights on val."""

import re
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tasks.errors import BadCheckpoint, BadConfiguration, BadInput, MissingObject
from tasks.evaluation.fusion import fuse
from tasks.evaluation.scoring import ScoredClips, score_clips, with_nouns_given
from tasks.model.checkpoints import ClassNames, HeadWeights, Saved, save_fusion
from tasks.model.engines.choice import NUM_CHECKED_CLIPS, Job, make_engine, spread
from tasks.model.epochs import BEST
from tasks.model.hardware import choose_device, describe
from tasks.model.network import Network, weights_sha256
from tasks.model.spec import NetworkSpec
from tasks.options import MODEL_REFERENCE, Weights
from tasks.results.dataset import DatasetClip, Manifest
from tasks.results.fusion import Fusion, Member
from tasks.results.training import PlanResult, TrainResult, WeightsResult
from tasks.settings import MachineSettings, MlflowSettings, load
from tasks.steps._ahead import FramesAhead
from tasks.steps._frames import load_few
from tasks.steps._networks import fetch_network, file_sha256
from tasks.steps._step import log, result_uri
from tasks.storage import Store
from tasks.tracking import Registry, Tracker

MODEL = re.compile(MODEL_REFERENCE)
RUN = re.compile(r"(s3://.+/)?runs/([0-9a-f]{16})/?")


def equal_fusion(names: Sequence[str], store_uri: str, store: Store) -> WeightsResult:
    """The networks that `names` stand for, as one checkpoint in the store in which all count alike.

    Raises:
        BadConfiguration: a name is none or stands alone, or a network is there twice, by one name, by two, or as a member of two fusions.
        BadInput: a member does not exist, belongs to another store, or answers in other classes than the first.
        BadCheckpoint: a member's checkpoint is gone or is not what was recorded.
    """
    with tempfile.TemporaryDirectory(prefix="retake-fusion-") as folder:
        members: list[Member] = []
        networks: list[Network] = []
        classes: ClassNames | None = None
        known: dict[tuple[NetworkSpec, str], str] = {}
        for name in names:
            run_key, uri, sha256 = _checkpoint_of(name, store_uri, store)
            saved = _fetch(name, uri, sha256, store, Path(folder))
            classes = _joined(classes, saved, name, members)
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
                        run_key=run_key,
                        checkpoint_uri=uri,
                        checkpoint_sha256=sha256,
                    )
                )
                networks.append(network)
        if len(networks) < 2 or classes is None:
            raise BadConfiguration(f"fuse: {', '.join(names)} is one network alone; name two or more")
        path = Path(folder) / "fusion.ckpt"
        save_fusion(path, networks, [HeadWeights(1 / len(networks), 1 / len(networks))] * len(networks), classes)
        sha256 = file_sha256(path)
        fused_uri = f"{store_uri}/pretrained/networks/{sha256}.ckpt"
        if not store.exists(fused_uri):
            store.write_file(fused_uri, path)
    title = " + ".join(member.network for member in members)
    log.info("fusing %s", title)
    return WeightsResult(
        backbone="fusion",
        network=title,
        weights=Weights.NONE,
        uri=fused_uri,
        sha256=sha256,
        description=f"the mean of {len(members)} networks that all count alike: {', '.join(dict.fromkeys(m.name for m in members))}",
        is_chance=False,
        members=tuple(members),
    )


def choose_fusion(out: str, plan: PlanResult, manifest: Manifest, store: Store, tracker: Tracker, run_id: str, folder: Path) -> TrainResult:
    """What `train` does with a fusion: score val by each network, choose the weights of each head, and write the fused checkpoint.

    Val is seen through the centre crop. The result has no epochs, and `best_val_loss` is `Fusion.chosen_loss`.
    """
    started = time.monotonic()
    clips = [clip for clip in manifest.clips if clip.split == "val"]
    scored = [with_nouns_given(_score(network, clips, store), manifest.vocabulary) for network in _saved(plan, store, folder).networks]
    fusion = fuse(scored, [(member.name, member.network) for member in plan.weights.members])
    # Scoring changed the networks: those that are kept come from the store again.
    saved = _saved(plan, store, folder)
    path = folder / BEST
    save_fusion(path, saved.networks, [HeadWeights(m.verb_weight, m.noun_weight) for m in fusion.members], saved.classes)
    store.write_file(f"{out}{BEST}", path)
    store.write(f"{out}fusion.json", fusion)
    evidence = folder / "evidence"
    evidence.mkdir()
    (evidence / "fusion.json").write_text(fusion.model_dump_json(indent=1), encoding="utf-8")
    tracker.log_artifacts(run_id, evidence, "train")
    heads = [target for target in ("verb", "noun") if target in manifest.vocabulary.targets]
    tracker.log_metrics(run_id, _metrics(fusion, heads))
    for one in fusion.members:
        weights = ", ".join(f"{head}s {getattr(one, f'{head}_weight'):.3f}" for head in heads)
        log.info("%s (%s): %s, alone %.3f", one.name, one.network, weights, one.val_loss)
    log.info("val loss %.3f, by equal weights %.3f", fusion.chosen_loss, fusion.equal_loss)
    return TrainResult(
        checkpoint_uri=f"{out}{BEST}",
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


def _checkpoint_of(name: str, store_uri: str, store: Store) -> tuple[str, str, str]:
    """Run key, address and sha256 of a member."""
    if MODEL.fullmatch(name):
        _, version = Registry.from_settings(load(MlflowSettings)).referred(name)
        run_key, uri, sha256 = version.run_key, version.checkpoint_uri, version.checkpoint_sha256
    elif found := RUN.fullmatch(name):
        folder, run_key = found[1] or f"{store_uri}/", found[2]
        _require_same_store(name, folder, store_uri)
        try:
            trained = store.read(result_uri(f"{folder}runs/{run_key}/train/"), TrainResult)
        except MissingObject:
            raise BadInput(f"fuse: {name}: {store_uri} has no finished training under runs/{run_key}/") from None
        uri, sha256 = trained.checkpoint_uri, trained.checkpoint_sha256
    else:
        raise BadConfiguration(
            f"fuse: {name} names no network; write models:/NAME@ALIAS, models:/NAME/VERSION, or runs/KEY/ of a training in this store"
        )
    _require_same_store(name, uri, store_uri)
    return run_key, uri, sha256


def _require_same_store(name: str, uri: str, store_uri: str) -> None:
    """Splits never move within a store; a network of another one may have been trained on clips that are tested here."""
    if not uri.startswith(f"{store_uri}/"):
        raise BadInput(
            f"fuse: {name} was trained in another store ({uri}), perhaps on clips that {store_uri} keeps for tests; train it in this store"
        )


def _fetch(name: str, uri: str, sha256: str, store: Store, folder: Path) -> Saved:
    try:
        return fetch_network(store, uri, sha256, folder)
    except MissingObject:
        raise BadCheckpoint(f"fuse: {name}: its checkpoint {uri} is gone; train it again, or leave it out") from None
    except BadCheckpoint as error:
        raise BadCheckpoint(f"fuse: {name}: {error}") from None


def _joined(classes: ClassNames | None, saved: Saved, name: str, members: Sequence[Member]) -> ClassNames:
    """The names of all members, each class under the name that any of them has for it."""
    ours = saved.classes
    if classes is None:
        return ours
    sizes = [f"{len(one.verbs)} verbs and {len(one.nouns)} nouns" for one in (ours, classes)]
    if sizes[0] != sizes[1]:
        raise BadInput(
            f"fuse: {name} answers in {sizes[0]}, {members[0].name} in {sizes[1]}; only networks of the same classes can be fused"
        )
    joined = {}
    for kind, theirs, known in (("verb", ours.verbs, classes.verbs), ("noun", ours.nouns, classes.nouns)):
        for i, (their, our) in enumerate(zip(theirs, known, strict=True)):
            if their != our and f"{kind}-{i}" not in (their, our):
                raise BadInput(f"fuse: {kind} {i} is {their} to {name} and {our} to {members[0].name}; they name other classes")
        joined[kind] = tuple(their if our == f"{kind}-{i}" else our for i, (their, our) in enumerate(zip(theirs, known, strict=True)))
    return ClassNames(verbs=joined["verb"], nouns=joined["noun"], has_objects=ours.has_objects or classes.has_objects)


def _saved(plan: PlanResult, store: Store, folder: Path) -> Saved:
    return fetch_network(store, plan.weights.uri, plan.weights.sha256, folder)


def _score(network: Network, clips: Sequence[DatasetClip], store: Store) -> ScoredClips:
    job = Job(
        device=choose_device(load(MachineSettings).device),
        num_clips=len(clips),
        num_crops=1,
        checked=lambda: load_few(store, spread(clips, NUM_CHECKED_CLIPS), network.spec),
        calibration=list,
    )
    with FramesAhead(store, clips, [network.spec]) as ahead:
        engine, _ = make_engine(network, "auto", job)
        scored, _ = score_clips(clips, lambda clip: ahead.load(clip)[0], lambda frames: engine.score(frames).numpy(), wait=ahead.wait)
    return scored


def _metrics(fusion: Fusion, heads: Sequence[str]) -> dict[str, float]:
    losses = {"chosen_loss": fusion.chosen_loss, "equal_loss": fusion.equal_loss, "held_out_loss": fusion.held_out_loss}
    weights = {
        f"{i}_{name}": getattr(member, name)
        for i, member in enumerate(fusion.members)
        for name in (*(f"{head}_weight" for head in heads), "val_loss")
    }
    return {f"fusion/{name}": value for name, value in {**losses, **weights}.items() if value is not None}
