"""The processes of one training: which of them this is, and how they end together.

Lightning starts the first process's command line again for each other process on the same machine, with LOCAL_RANK in its environment.
For a training over several machines the same command is started on each, with MASTER_ADDR and MASTER_PORT of the first machine and with
NODE_RANK, from 0. torchrun sets all of these too, and starts every process itself.
"""

import ctypes
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from time import monotonic
from types import FrameType

import pytorch_lightning as pl
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from tasks.errors import BadConfiguration, BadInput, RetakeError, Unavailable

STARTER = "RETAKE_STARTER_PID"
PR_SET_PDEATHSIG = 1
GRACE_SECONDS = 15
"""A process that failed takes so long to end, at most, after its connections did."""


def is_first_process() -> bool:
    """Whether this process is the one that reads and writes for all: it alone speaks to MLflow, writes to the store and has a result."""
    return global_rank(1) == 0


def global_rank(devices: int) -> int:
    """This process's place among all, where each machine has `devices` processes."""
    environment = LightningEnvironment()
    return environment.node_rank() * devices + environment.local_rank()


def shareable_devices(devices: int, num_nodes: int, batch_size: int) -> int:
    """The most processes on this machine, `devices` at most, that share `batch_size` clips evenly.

    On several machines it is `devices`, for none of them may decide for the others.
    """
    if num_nodes > 1:
        return devices
    return max(number for number in range(1, devices + 1) if batch_size % number == 0)


def require_places(devices: int, num_nodes: int) -> None:
    """Make sure that the environment gives this process a place among `devices` on each of `num_nodes` machines.

    Raises:
        BadConfiguration: another number of processes was started, or a machine does not know where the first one is.
    """
    rank, num_processes = global_rank(devices), devices * num_nodes
    if rank >= num_processes:
        raise BadConfiguration(
            f"this is process {rank + 1} of {num_processes}; "
            "set RETAKE_DEVICES and RETAKE_NUM_NODES to what was started, or unset LOCAL_RANK and NODE_RANK"
        )
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if not {"NODE_RANK", "GROUP_RANK"} & os.environ.keys():
        missing.append("NODE_RANK")
    if num_nodes > 1 and missing:
        raise BadConfiguration(f"RETAKE_NUM_NODES is {num_nodes}: each machine also needs {', '.join(missing)} in its environment")


def end_with_starter() -> None:
    """Have Linux kill this process when the one that started it for a training ends, however it ends; another system does not.

    Call it in every process before the training. Under torchrun, and between machines, nothing changes: there a process fails at its next
    exchange with one that is gone, or when that times out after half an hour.
    """
    if LightningEnvironment().local_rank() == 0:
        os.environ[STARTER] = str(os.getpid())
    elif STARTER in os.environ:
        prctl = getattr(ctypes.CDLL(None), "prctl", None)
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # It may have ended before this one asked.
        if os.getppid() != int(os.environ[STARTER]):
            raise SystemExit(1)


class EndInOrder(Callback):
    """Ends the training, with Unavailable, at the batch after SIGTERM, and lets `failing_together` say what ended another process.

    Lightning's own ways may leave processes waiting for each other, give exit code 0, or kill this process.
    """

    def __init__(self) -> None:
        self.is_told = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Take the signal over from Lightning, which gives it back after the training."""
        # The processes that a machine's first one started end with it.
        signal.signal(signal.SIGTERM, self._note if trainer.local_rank == 0 else signal.SIG_DFL)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int) -> None:
        """End here, where that was asked for."""
        if self.is_told:
            raise Unavailable("this process was told to end (SIGTERM); a retry goes on after the last whole epoch")

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Have Lightning watch the others no more."""
        _others(trainer)

    def _note(self, number: int, frame: FrameType | None) -> None:
        # An exception from here would vanish in whatever library is at work.
        self.is_told = True


@contextmanager
def failing_together(trainer: pl.Trainer) -> Iterator[None]:
    """End the processes that Lightning started for `trainer` when the block fails.

    Raises:
        RetakeError: one of them failed first. The class is that of its exit code, or Unavailable where it was killed.
    """
    try:
        yield
    except BaseException as error:
        others = _others(trainer)
        # What torch says when another process has gone away.
        failure = _failure(others) if isinstance(error, RuntimeError) else None
        for process in others:
            process.kill()
            process.wait()
        if failure:
            raise failure from error
        raise
    _others(trainer)


def _others(trainer: pl.Trainer) -> list[subprocess.Popen[bytes]]:
    """The processes that Lightning started, which it watches no more."""
    launcher = trainer.strategy.launcher
    if not isinstance(launcher, _SubprocessScriptLauncher):
        return []
    # The thread that would kill this process for a failed one looks at the first list.
    watched, launcher.procs = launcher.procs, launcher.procs[:]
    watched.clear()
    return launcher.procs


def _failure(others: list[subprocess.Popen[bytes]]) -> RetakeError | None:
    """What ended the others, where one ended by itself."""
    deadline = monotonic() + GRACE_SECONDS
    for process in others:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0, deadline - monotonic()))
    codes = [process.returncode for process in others if process.returncode]
    if not codes:
        return None
    # Processes that lost another end with a bug's exit code; the one that they lost may have had a better one.
    known = [kind for kind in (BadInput, BadConfiguration, Unavailable) if kind.exit_code in codes]
    if min(codes) < 0:
        known.append(Unavailable)
    kind = known[0] if known else RetakeError
    return kind(f"another process of this training ended with {', '.join(map(str, codes))}; what it said stands above")
