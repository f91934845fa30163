"""Fine-tune the planned network, with each of its seeds; a retry resumes."""

import logging
import tempfile
from pathlib import Path

from tasks.learn.gpus import keep_to_one_gpu
from tasks.learn.hardware import keep_freed_memory
from tasks.learn.training.fit import fit
from tasks.learn.training.processes import is_first_process, leave_others, shareable_devices
from tasks.pipeline._plans import plans_with_repeats
from tasks.pipeline._results import earlier_result, log
from tasks.pipeline._training import FOLDER_PREFIX, make_job, train_planned
from tasks.pipeline.retrain.contract import TRAIN, PlannedArguments
from tasks.settings import MachineSettings, MlflowSettings, load
from tasks.store.layout import Dataset
from tasks.store.objects import Store
from tasks.store.records.training import PlanResult, TrainResult
from tasks.store.run_layout import Run
from tasks.tracking import Tracker


def run(arguments: PlannedArguments, store: Store) -> TrainResult:
    """Train, and write best checkpoint and history to the store and MLflow.

    RETAKE_DEVICES processes train the plan's own network; `tasks.learn.training.processes` says how the others are started. All but the first
    process end here, with exit code 0. The first alone trains the further seeds, has a result, writes to the store and speaks to MLflow.
    """
    if not is_first_process():
        _take_part(arguments, store)
        raise SystemExit
    plan = store.read(arguments.planned)
    devices = 1 if earlier_result(store, TRAIN.address(arguments)) else _num_processes(plan)
    _prepare(devices)
    for seeded in plans_with_repeats(plan, store):
        place = Run(seeded.run_uri).train
        if not earlier_result(store, place):
            log.info("training with seed %d", seeded.train.seed)
            # Processes that trained together once cannot do so again.
            trained = train_planned(seeded, place, store, devices if seeded is plan else 1)
            leave_others()
            if seeded is not plan:
                Tracker(load(MlflowSettings)).finish(trained.mlflow_run_id)
    return store.read(TRAIN.address(arguments))


def _take_part(arguments: PlannedArguments, store: Store) -> None:
    """Train along with the first process; write no result, and log warnings only."""
    logging.getLogger().setLevel(logging.WARNING)
    place = TRAIN.address(arguments)
    plan = store.read(arguments.planned)
    if earlier_result(store, place) or plan.weights.members:
        return
    devices = _num_processes(plan)
    _prepare(devices)
    manifest = store.read(Dataset(plan.dataset_uri).manifest)
    with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX) as folder:
        fit(make_job(plan, place, manifest, store, Path(folder), devices))


def _num_processes(plan: PlanResult) -> int:
    """Choose the number of processes that train the plan's own network."""
    machine = load(MachineSettings)
    devices = shareable_devices(machine.devices, plan.train.batch_size)
    if devices < machine.devices:
        log.warning(
            "a batch of %d cannot be shared by %d processes, so %d trains; choose a batch size that is a multiple of RETAKE_DEVICES",
            plan.train.batch_size,
            machine.devices,
            devices,
        )
    return devices


def _prepare(num_processes: int) -> None:
    """Set up GPU and memory of this process; one alone keeps to one GPU."""
    if num_processes == 1:
        keep_to_one_gpu()
    keep_freed_memory()
