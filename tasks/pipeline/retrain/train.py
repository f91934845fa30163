"""Fine-tune the planned network; a retry resumes from its last epoch.

It continues the same MLflow run.
"""

import logging
import tempfile
from pathlib import Path

from tasks.learn.gpus import keep_to_one_gpu
from tasks.learn.hardware import keep_freed_memory
from tasks.learn.training.fit import fit
from tasks.learn.training.processes import is_first_process, shareable_devices
from tasks.pipeline._step import finished, log
from tasks.pipeline._training import FOLDER_PREFIX, make_job, train_planned
from tasks.pipeline.retrain.contract import TRAIN, PlannedArguments
from tasks.settings import MachineSettings, load
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.records.training import PlanResult, TrainResult
from tasks.store.stored import Output


def run(arguments: PlannedArguments, store: Store) -> TrainResult:
    """Train, and write best checkpoint and history to the store and MLflow.

    RETAKE_DEVICES processes train together; `tasks.learn.training.processes` says how the others are started. They end here, with exit code 0: the
    first process alone has a result, writes to the store and speaks to MLflow.
    """
    if not is_first_process():
        _take_part(arguments, store)
        raise SystemExit
    training = TRAIN.address(arguments)
    if earlier := finished(store, training):
        return earlier
    plan = store.read(Output(arguments.plan, PlanResult))
    return train_planned(plan, training, store, _settle(plan))


def _take_part(arguments: PlannedArguments, store: Store) -> None:
    """Train along with the first process; write no result, and log warnings only."""
    logging.getLogger().setLevel(logging.WARNING)
    training = TRAIN.address(arguments)
    plan = store.read(Output(arguments.plan, PlanResult))
    if finished(store, training) or plan.weights.members:
        return
    devices = _settle(plan)
    manifest = store.read(Dataset(plan.dataset_uri).manifest)
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX) as folder:
        fit(make_job(plan, training, manifest, store, Path(folder), devices))


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
