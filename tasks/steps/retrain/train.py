"""Fine-tune the planned network; a retry goes on from its last epoch.

It goes on in the same MLflow run.
"""

import logging
import tempfile
from pathlib import Path

from tasks.contracts.retrain import TRAIN, PlannedArguments
from tasks.csv_table import csv_table
from tasks.media.frame_cache import cache_test_frames, cache_train_frames
from tasks.model.class_names import trained_names
from tasks.model.data import CachedClip
from tasks.model.epochs import BEST, LAST, EpochFiles, EpochRecord
from tasks.model.gpus import keep_to_one_gpu
from tasks.model.growth import widen_heads
from tasks.model.job import TrainJob
from tasks.model.memory import keep_freed_memory
from tasks.model.processes import is_first_process, shareable_devices
from tasks.model.training import fit
from tasks.results.dataset import DatasetClip, Manifest
from tasks.results.record import SPLITS
from tasks.results.training import Epoch, PlanResult, TrainResult
from tasks.settings import MachineSettings, MlflowSettings, load
from tasks.steps._checkpoints import fetch_network, file_sha256
from tasks.steps._step import finish, finished, log, write_files
from tasks.steps.retrain._fusion import choose_fusion
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.runs import Training
from tasks.store.stored import Output
from tasks.tracking import Tracker, tracked_run

FOLDER_PREFIX = "retake-train-"


def run(arguments: PlannedArguments, store: Store) -> TrainResult:
    """Train, and write best checkpoint and history to the store and MLflow.

    RETAKE_DEVICES processes train together ; `tasks.model.processes` says how the others are started.
    They end here, with exit code 0: the first process alone has a result, writes to the store and speaks to MLflow.
    """
    if not is_first_process():
        _take_part(arguments, store)
        raise SystemExit
    training = TRAIN.address(arguments)
    if earlier := finished(store, training):
        return earlier
    plan, manifest = _inputs(arguments, store)
    devices = _settle(plan)
    tracker = Tracker.from_settings(load(MlflowSettings))
    with tracked_run(tracker, plan) as run_id, tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX) as name:
        folder = Path(name)
        _log_inputs(tracker, run_id, plan, manifest, store)
        if plan.weights.members:
            return finish(store, training, choose_fusion(training, plan, manifest, store, tracker, run_id, folder))
        job = _job(arguments, plan, manifest, store, folder, devices)

        def keep(files: EpochFiles) -> None:
            if files.best_is_new and files.best:
                store.write_file(training.best, files.best)
            tracker.log_epoch(run_id, _epoch(files.record))
            # The commit mark of the epoch: a try that ends before it does the epoch again.
            store.write_file(training.last, files.last)

        outcome = fit(job, on_epoch=keep)
        epochs = tuple(_epoch(record) for record in outcome.history)
        hardware = {**outcome.hardware.flat(), "num_processes": job.devices}
        evidence = folder / "evidence"
        table = csv_table(Epoch.model_fields, (epoch.model_dump() for epoch in epochs))
        write_files(store, training, {training.file("epochs.csv"): table}, evidence)
        tracker.log_artifacts(run_id, evidence, "train")
        tracker.log_artifacts(run_id, folder / "tensorboard", "tensorboard")
        tracker.set_tags(run_id, {f"retake.{key}": str(value) for key, value in hardware.items()})
        store.write_file(training.best, outcome.best)
        result = TrainResult(
            checkpoint_uri=training.best,
            checkpoint_sha256=file_sha256(outcome.best),
            best_epoch=outcome.best_epoch,
            best_val_loss=outcome.best_val_loss,
            epochs=epochs,
            stopped_early=outcome.stopped_early,
            seconds=round(sum(record.seconds for record in outcome.history), 3),
            mlflow_run_id=run_id,
            mlflow_run_url=tracker.run_url(run_id),
            hardware=hardware,
        )
    return finish(store, training, result)


def _take_part(arguments: PlannedArguments, store: Store) -> None:
    """Train along with the first process; write no result, and log warnings only."""
    logging.getLogger().setLevel(logging.WARNING)
    if finished(store, TRAIN.address(arguments)):
        return
    plan, manifest = _inputs(arguments, store)
    if plan.weights.members:
        return
    devices = _settle(plan)
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX) as name:
        fit(_job(arguments, plan, manifest, store, Path(name), devices))


def _settle(plan: PlanResult) -> int:
    """Choose the number of processes; one alone keeps to one GPU."""
    machine = load(MachineSettings)
    devices = shareable_devices(machine.devices, plan.train.batch_size)
    if devices < machine.devices:
        log.warning(
            "a batch of %d cannot be shared by %d processes, so %d trains; choose a batch size that is a multiple of RETAKE_DEVICES",
            plan.train.batch_size,
            machine.devices,
            devices,
        )
    if devices == 1:
        keep_to_one_gpu()
    keep_freed_memory()
    return devices


def _inputs(arguments: PlannedArguments, store: Store) -> tuple[PlanResult, Manifest]:
    plan = store.read(Output(arguments.plan, PlanResult))
    return plan, store.read(Dataset(plan.dataset_uri).manifest)


def _job(arguments: PlannedArguments, plan: PlanResult, manifest: Manifest, store: Store, folder: Path, devices: int) -> TrainJob:
    """Fetch all inputs of the training, and an earlier try's last epoch into `folder`."""
    machine = load(MachineSettings)
    start = fetch_network(store, plan.weights.uri, plan.weights.sha256, folder)
    words = manifest.vocabulary
    network = widen_heads(start.network, words.num_verbs, words.num_nouns, plan.train.seed)
    spec = network.spec
    clips = {split: [clip for clip in manifest.clips if clip.split == split] for split in SPLITS}
    job = TrainJob(
        network=network,
        classes=trained_names(words, start.classes, spec),
        train=_labelled(clips["train"], cache_train_frames(store, clips["train"], spec, plan.train)),
        val=_labelled(clips["val"], cache_test_frames(store, clips["val"], spec)),
        options=plan.train,
        folder=folder,
        device=machine.device,
        features=machine.cache_dir.expanduser() / "features",
        devices=devices,
    )
    _fetch_earlier_epochs(store, TRAIN.address(arguments), folder)
    return job


def _log_inputs(tracker: Tracker, run_id: str, plan: PlanResult, manifest: Manifest, store: Store) -> None:
    weights = {f"weights.{key}": value for key, value in plan.weights.model_dump(include={"sha256", "is_chance"}).items()}
    # A fusion is not trained: `fuse` is its only option.
    chosen = plan.train.model_dump(mode="json", include={"fuse"} if plan.weights.members else None, exclude={"checkpoint"})
    tracker.log_params(run_id, {**chosen, **weights, "network": plan.weights.network, "dataset": plan.dataset_digest})
    for split in SPLITS:
        if any(clip.split == split for clip in manifest.clips):
            uri = Dataset(plan.dataset_uri).table(split)
            tracker.log_dataset(run_id, store.read_bytes(uri), split=split, source=uri, digest=plan.dataset_digest)
    with tempfile.TemporaryDirectory(prefix="retake-dataset-") as name:
        for found in store.list(Dataset(plan.dataset_uri).figures):
            store.read_file(found.uri, Path(name) / found.name)
        tracker.log_artifacts(run_id, Path(name), "dataset")


def _labelled(clips: list[DatasetClip], frames: dict[str, Path]) -> list[CachedClip]:
    """Pair the clips that have frames with their classes."""
    return [CachedClip(frames[clip.uid], clip.verb_class, clip.noun_class) for clip in clips if clip.uid in frames]


def _fetch_earlier_epochs(store: Store, training: Training, folder: Path) -> None:
    if not store.exists(training.last):
        return
    for uri, name in ((training.best, BEST), (training.last, LAST)):
        if store.exists(uri):
            store.read_file(uri, folder / name)
    log.info("an earlier try left its last epoch; going on from there")


def _epoch(record: EpochRecord) -> Epoch:
    val = record.val
    return Epoch(
        epoch=record.epoch,
        learning_rate=record.learning_rate,
        train_loss=record.train.loss,
        val_loss=val.loss if val else None,
        val_verb_top1=val.verb_top1 if val else None,
        val_noun_top1=val.noun_top1 if val else None,
        val_action_top1=val.action_top1 if val else None,
    )
