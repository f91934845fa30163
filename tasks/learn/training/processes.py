"""Find this process's rank in a training, and end all processes together.

Lightning runs the first process's command line again for every other process, with LOCAL_RANK in its environment. torchrun sets it, too, but
starts every process itself.
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
import torch.distributed
from lightning_fabric.plugins.environments.lightning import LightningEnvironment
from pytorch_lightning.callbacks import Callback
from pytorch_lightning.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from tasks.errors import BadConfiguration, BadInput, RetakeError, Terminated, Unavailable

STARTER = "RETAKE_STARTER_PID"
PR_SET_PDEATHSIG = 1
TERMINATED = "this process was terminated (SIGTERM); a retry resumes after the last complete epoch"
GRACE_SECONDS = 15
"""Maximum time that a failed process takes to exit after its connections are closed."""


def is_first_process() -> bool:
    """Check whether this is the first process, which alone uses MLflow, store and stdout."""
    return process_rank() == 0


def process_rank() -> int:
    """Return this process's rank, from 0."""
    return LightningEnvironment().local_rank()


def shareable_devices(devices: int, batch_size: int) -> int:
    """Find the largest number of processes, up to `devices`, that divides `batch_size`."""
    return max(number for number in range(1, devices + 1) if batch_size % number == 0)


def require_rank(devices: int) -> None:
    """Check that the environment gives this process a rank below `devices`.

    Raises:
        BadConfiguration: more processes were started.
    """
    rank = process_rank()
    if rank >= devices:
        raise BadConfiguration(
            f"this is process {rank + 1} of {devices}; set RETAKE_DEVICES to the number of started processes, or unset LOCAL_RANK"
        )


def end_with_starter() -> None:
    """Let Linux kill this process when the process that started it ends for any reason.

    Call this in every process before training. It has no effect under torchrun: there a process fails at its next communication with a dead
    one, or when that times out after half an hour.
    """
    if is_first_process():
        os.environ[STARTER] = str(os.getpid())
    elif STARTER in os.environ:
        prctl = getattr(ctypes.CDLL(None), "prctl", None)
        if prctl is not None:
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # The starter may have ended before prctl was called.
        if os.getppid() != int(os.environ[STARTER]):
            raise SystemExit(1)


def leave_others() -> None:
    """Close the connections to the other processes, so that this one can train alone."""
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


class EndOnSigterm(Callback):
    """A callback that ends training with Terminated at the batch after SIGTERM.

    Lightning's own handling may leave processes waiting for each other, exit with code 0, or kill this process.
    """

    def __init__(self) -> None:
        self.is_terminated = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Replace Lightning's signal handler; Lightning restores the original handler after training."""
        # The other processes end with the first process.
        signal.signal(signal.SIGTERM, self._note if trainer.local_rank == 0 else signal.SIG_DFL)

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int) -> None:
        """Stop if SIGTERM has arrived."""
        if self.is_terminated:
            raise Terminated(TERMINATED)

    def on_validation_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: object, batch_idx: int, dataloader_idx: int = 0
    ) -> None:
        """Stop likewise."""
        self.on_train_batch_start(trainer, pl_module, batch, batch_idx)

    def on_exception(self, trainer: pl.Trainer, pl_module: pl.LightningModule, exception: BaseException) -> None:
        """Stop Lightning from watching the other processes."""
        _release_others(trainer)

    def _note(self, number: int, frame: FrameType | None) -> None:
        # An exception raised in a signal handler could be swallowed by a library.
        self.is_terminated = True


@contextmanager
def failing_together(trainer: pl.Trainer, ending: EndOnSigterm) -> Iterator[None]:
    """End the processes that Lightning started for `trainer` if the block fails.

    Raises:
        RetakeError: one of them failed first. Its exit code determines the class; Unavailable if it was killed.
    """
    try:
        yield
    except BaseException as error:
        others = _release_others(trainer)
        failure = _failure(others) if isinstance(error, RuntimeError) else None
        for process in others:
            process.kill()
            process.wait()
        # torch raises RuntimeError when another process, or one of a loader, is gone.
        if ending.is_terminated and isinstance(error, RuntimeError):
            raise Terminated(TERMINATED) from error
        if failure:
            raise failure from error
        raise
    _release_others(trainer)


def _release_others(trainer: pl.Trainer) -> list[subprocess.Popen[bytes]]:
    """Return the processes that Lightning started, and stop Lightning from watching them."""
    launcher = trainer.strategy.launcher
    if not isinstance(launcher, _SubprocessScriptLauncher):
        return []
    # Lightning's watcher thread, which kills this process if another fails, reads the original list.
    watched, launcher.procs = launcher.procs, launcher.procs[:]
    watched.clear()
    return launcher.procs


def _failure(others: list[subprocess.Popen[bytes]]) -> RetakeError | None:
    """Return the error of the process that failed, or None if none did."""
    deadline = monotonic() + GRACE_SECONDS
    for process in others:
        with suppress(subprocess.TimeoutExpired):
            process.wait(max(0, deadline - monotonic()))
    codes = [process.returncode for process in others if process.returncode]
    if not codes:
        return None
    # A process that lost another exits with a bug's code; the exit code of the lost one may be more specific.
    known = [kind for kind in (BadInput, BadConfiguration, Unavailable) if kind.exit_code in codes]
    if min(codes) < 0:
        known.append(Unavailable)
    kind = known[0] if known else RetakeError
    return kind(f"another process of this training exited with {', '.join(map(str, codes))}; see its log above")
