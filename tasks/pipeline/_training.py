"""Train a planned network: fetch its inputs, fit, and write checkpoints and history."""

import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from tasks.data.clips.frame_cache import FramesAhead, cache_test_frames, cache_train_frames, sharing_decoders
from tasks.data.clips.stored_clips import StoredClip
from tasks.data.split.manifest import split_rows
from tasks.judge.statistics.long_training import KeptAnswers, first_without_error, to_parquet
from tasks.judge.statistics.metrics import with_actions
from tasks.judge.statistics.scoring import ScoredClips, with_nouns_given
from tasks.keys import file_sha256
from tasks.learn.inputs.data import NO_LABEL, CachedClip
from tasks.learn.networks.heads import Logits
from tasks.learn.networks.network import Network, widen_heads
from tasks.learn.networks.spec import no_names, trained_names
from tasks.learn.training.epochs import BEST, LAST, EpochFiles, EpochRecord, head_file, is_logged, is_power_of_two
from tasks.learn.training.fit import fit
from tasks.learn.training.job import JoinedNetwork, TrainJob, joint_spec, score_heads
from tasks.pipeline._checkpoints import fetch_network
from tasks.pipeline._fusion import choose_fusion
from tasks.pipeline._results import finish, log, publish_files
from tasks.pipeline._scoring import Choice, make_ready
from tasks.settings import MachineSettings, MlflowSettings, load
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.records.dataset import DatasetClip, Manifest
from tasks.store.records.record import SPLITS
from tasks.store.records.training import Epoch, PlanResult, Teacher, TrainResult
from tasks.store.run_layout import Run, Training
from tasks.tracking import Tracker, tracked_run
from tasks.wording import csv_table

FOLDER_PREFIX = "retake-train-"


def train_planned(plan: PlanResult, place: Training, store: Store, devices: int) -> TrainResult:
    """Train, or resume an earlier try after its last epoch, in the same MLflow run.

    Args:
        devices: number of processes; the others call `fit` on the same job.

    Raises:
        BadConfiguration, BadDataset, Unavailable: as `fit`.
    """
    manifest = store.read(Dataset(plan.dataset_uri).manifest)
    tracker = Tracker(load(MlflowSettings))
    with tracked_run(tracker, plan) as run_id, tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX) as name:
        folder = Path(name)
        _log_inputs(tracker, run_id, plan, manifest, store)
        if plan.weights.members and plan.train.join == "logits":
            return finish(store, place, choose_fusion(place, plan, manifest, store, tracker, run_id, folder))
        job = make_job(plan, place, manifest, store, folder, devices)

        def keep(files: EpochFiles) -> None:
            if files.best_is_new and files.best:
                store.write_file(place.best, files.best)
            if files.heads:
                store.write_file(place.heads(files.records[-1].epoch + 1), files.heads)
            tracker.log_epochs(run_id, [epoch_of(record) for record in files.records if is_logged(record.epoch)])
            # The commit mark of the epochs: the next try repeats them if this one ends before it.
            store.write_file(place.last, files.last)

        outcome = fit(job, on_epoch=keep)
        epochs = tuple(epoch_of(record) for record in outcome.history)
        # Epochs that a search trained before were never given to `keep`.
        tracker.log_epochs(run_id, [epoch for epoch in epochs if is_logged(epoch.epoch)])
        kept_epochs = keep_answers(job, len(epochs), place, manifest, store) if plan.train.is_long else ()
        hardware = {**outcome.hardware.flat(), "num_processes": job.devices}
        table = csv_table(Epoch.model_fields, (epoch.model_dump() for epoch in epochs))
        publish_files(store, place, {place.file("epochs.csv"): table}, tracker, run_id, "train")
        tracker.set_tags(run_id, {f"retake.{key}": str(value) for key, value in hardware.items()})
        store.write_file(place.best, outcome.best)
        result = TrainResult(
            checkpoint_uri=place.best,
            checkpoint_sha256=file_sha256(outcome.best),
            best_epoch=outcome.best_epoch,
            best_val_loss=outcome.best_val_loss,
            epochs=logged_epochs(epochs, outcome.best_epoch),
            stopped_early=outcome.stopped_early,
            seconds=round(sum(record.seconds for record in outcome.history), 3),
            mlflow_run_id=run_id,
            mlflow_run_url=tracker.run_url(run_id),
            hardware=hardware,
            kept_epochs=kept_epochs,
            label_noise=plan.train.label_noise,
        )
    return finish(store, place, result)


def make_job(plan: PlanResult, place: Training, manifest: Manifest, store: Store, folder: Path, devices: int) -> TrainJob:
    """Fetch all inputs of the training, and an earlier try's last epoch into `folder`."""
    job, _ = fetch_inputs(plan, manifest, store, folder, devices)
    _fetch_earlier_epochs(store, place, folder, is_long=plan.train.is_long)
    return job


def fetch_inputs(plan: PlanResult, manifest: Manifest, store: Store, folder: Path, devices: int) -> tuple[TrainJob, list[DatasetClip]]:
    """Fetch the inputs of a training that begins with its first epoch.

    Returns:
        the job, and the clips of its `train`, in their order.
    """
    if plan.weights.members:
        return joined_inputs(plan, manifest, store, folder)
    machine = load(MachineSettings)
    start = fetch_network(store, plan.weights.uri, plan.weights.sha256)
    words = manifest.vocabulary
    network = widen_heads(start.network, words.num_verbs, words.num_nouns, plan.train.seed)
    spec = network.spec
    clips = {split: [clip for clip in manifest.clips if clip.split == split] for split in SPLITS}
    with sharing_decoders():
        frames = cache_train_frames(store, clips["train"], spec, plan.train)
        tested = cache_test_frames(store, clips["val"], spec)
    job = TrainJob(
        network=network,
        classes=trained_names(words, start.classes, spec),
        train=with_classes(clips["train"], frames),
        val=with_classes(clips["val"], tested),
        options=plan.train,
        folder=folder,
        device=machine.device,
        features=machine.cache_dir / "features",
        devices=devices,
    )
    used = [clip for clip in clips["train"] if clip.uid in frames]
    return (_taught(job, used, plan, plan.teacher, store) if plan.teacher else job), used


def _taught(job: TrainJob, labelled: Sequence[DatasetClip], plan: PlanResult, teacher: Teacher, store: Store) -> TrainJob:
    """Add the unlabelled clips, and the teacher's answers to all clips, to a student's job.

    `labelled` are the clips of the job's `train`, in the same order: the answers follow it.
    """
    unlabelled = store.read(Run(plan.run_uri).train.unlabelled).clips
    frames = cache_train_frames(store, unlabelled, job.network.spec, plan.train) if unlabelled else {}
    more = [CachedClip(frames[clip.uid], NO_LABEL, NO_LABEL, clip.video) for clip in unlabelled]
    ready = make_ready(
        fetch_network(store, teacher.checkpoint_uri, teacher.checkpoint_sha256),
        Choice(plan.evaluate.engine),
        1,
        [],
        labelled,
        checked_on=labelled,
        shares_features=False,
        store=store,
    )
    clips: list[StoredClip] = [*labelled, *unlabelled]
    with FramesAhead(store, clips, ready.specs) as ahead:
        teaching = Logits.stacked(ready.scorer.score(ahead.load(clip)) for clip in clips)
    ready.close()
    log.info("the teacher answered %d clips by %s", len(clips), ready.engine.label)
    return replace(job, train=[*job.train, *more], teaching=teaching)


def _log_inputs(tracker: Tracker, run_id: str, plan: PlanResult, manifest: Manifest, store: Store) -> None:
    weights = {f"weights.{key}": value for key, value in plan.weights.model_dump(include={"sha256", "is_chance"}).items()}
    taught_by = {"teacher": plan.teacher.checkpoint_sha256} if plan.teacher else {}
    # Where logits are averaged, nothing is trained: `fuse` is the only option.
    is_averaged = plan.weights.members and plan.train.join == "logits"
    chosen = plan.train.model_dump(mode="json", include={"fuse"} if is_averaged else None, exclude={"checkpoint"})
    tracker.log_params(run_id, {**chosen, **weights, **taught_by, "network": plan.weights.network, "dataset": plan.dataset_digest})
    for split in SPLITS:
        if rows := split_rows(manifest, split):
            source = Dataset(plan.dataset_uri).table(split)
            tracker.log_dataset(run_id, rows, split=split, source=source, digest=plan.dataset_digest)
    with tempfile.TemporaryDirectory(prefix="retake-dataset-") as name:
        for figure in store.list(Dataset(plan.dataset_uri).figures):
            store.read_file(figure.uri, Path(name) / figure.name)
        tracker.log_artifacts(run_id, Path(name), "dataset")


def with_classes(clips: list[DatasetClip], frames: dict[str, Path]) -> list[CachedClip]:
    """Pair the clips that have frames with their classes."""
    return [CachedClip(frames[clip.uid], clip.verb_class, clip.noun_class, clip.source) for clip in clips if clip.uid in frames]


def _fetch_earlier_epochs(store: Store, place: Training, folder: Path, *, is_long: bool) -> None:
    # A search's checkpoint lacks the intermediate heads that a long training needs.
    if not store.exists(place.last) or (is_long and not store.exists(place.heads(1))):
        return
    for uri, name in ((place.best, BEST), (place.last, LAST)):
        if store.exists(uri):
            store.read_file(uri, folder / name)
    log.info("an earlier try left its last epoch; going on from there")


def epoch_of(record: EpochRecord) -> Epoch:
    """Make the result's record of an epoch."""
    train, val = record.train, record.val
    return Epoch(
        epoch=record.epoch,
        learning_rate=record.learning_rate,
        train_loss=train.loss,
        train_verb_top1=train.verb_top1,
        train_noun_top1=train.noun_top1,
        train_action_top1=train.action_top1,
        val_loss=val.loss if val else None,
        val_verb_top1=val.verb_top1 if val else None,
        val_noun_top1=val.noun_top1 if val else None,
        val_action_top1=val.action_top1 if val else None,
    )


def logged_epochs(epochs: tuple[Epoch, ...], best_epoch: int) -> tuple[Epoch, ...]:
    """Select the logged epochs, the kept, the last, and the first without a training error."""
    fitted = first_without_error(epochs)
    return tuple(epoch for epoch in epochs if is_logged(epoch.epoch) or epoch.epoch in (best_epoch, fitted, len(epochs) - 1))


def keep_answers(job: TrainJob, num_epochs: int, place: Training, manifest: Manifest, store: Store) -> tuple[int, ...]:
    """Write the answers of all kept heads, and list their epochs, from 0."""
    files: dict[int, Path] = {}
    for number in range(1, num_epochs + 1):
        if is_power_of_two(number) or number == num_epochs:
            files[number - 1] = job.folder / head_file(number)
            if not files[number - 1].exists():
                # An earlier try trained this far.
                store.read_file(place.heads(number), files[number - 1])
    clips = [clip for clip in manifest.clips if clip.split == "val"]
    kept = []
    for epoch, verbs, nouns in score_heads(job, files):
        scored = ScoredClips(
            uids=tuple(clip.uid for clip in clips),
            sources=tuple(clip.source for clip in clips),
            verb_classes=np.array([clip.verb_class for clip in clips]),
            noun_classes=np.array([clip.noun_class for clip in clips]),
            verb_logits=verbs,
            noun_logits=nouns,
        )
        scored = with_actions(with_nouns_given(scored, manifest.vocabulary), manifest.vocabulary)
        kept.append(KeptAnswers.of(epoch, scored, manifest.vocabulary))
    store.write_bytes(place.answers, to_parquet(kept))
    return tuple(files)


def joined_inputs(plan: PlanResult, manifest: Manifest, store: Store, folder: Path) -> tuple[TrainJob, list[DatasetClip]]:
    """Fetch the inputs of a training on joined features, as `fetch_inputs` does.

    A clip without sound is trained on, because the head has to answer such clips. A clip is left out if one of the networks cannot see it.
    """
    saved = fetch_network(store, plan.weights.uri, plan.weights.sha256)
    train, val = ([clip for clip in manifest.clips if clip.split == split] for split in ("train", "val"))
    joined = []
    for network in saved.networks:
        spec = network.spec
        seen = {
            **(cache_test_frames(store, train, spec) if spec.sound else cache_train_frames(store, train, spec, plan.train)),
            **cache_test_frames(store, val, spec),
        }
        joined.append(JoinedNetwork(network, {Path(uid): path for uid, path in seen.items()}))
    used = [clip for clip in train if all(Path(clip.uid) in member.frames for member in joined)]
    words, machine = manifest.vocabulary, load(MachineSettings)
    spec = joint_spec(saved.networks, plan.train, words.num_verbs, words.num_nouns)
    named = {clip.uid: Path(clip.uid) for clip in manifest.clips}
    job = TrainJob(
        network=Network(spec, plan.train.seed),
        classes=trained_names(words, no_names(spec), spec),
        train=with_classes(used, named),
        val=with_classes(val, named),
        options=plan.train,
        folder=folder,
        device=machine.device,
        features=machine.cache_dir / "features",
        joined=joined,
    )
    return job, used
