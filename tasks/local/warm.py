"""Fork steps from one process that has imported their modules.

Usage: `python -m tasks.local.warm HOME SOURCES MODULE…`. Importing torch, MLflow and the rest takes seconds per step. RETAKE_PYTHON names a
small program that passes on the step's command and signals, and ends with the step's exit code. If there is no such process, or the code
has changed since it imported it, that program becomes the interpreter.
"""

import atexit
import contextlib
import ctypes
import gc
import hashlib
import json
import logging
import os
import runpy
import selectors
import shlex
import signal
import socket
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path
from typing import NoReturn

from tasks.learn.gpus import num_gpus
from tasks.local import hand_over, processes
from tasks.local.hand_over import ACCEPTED, PATIENCE_SECONDS, SIZE_BYTES, SOCKET
from tasks.local.home_folder import REPOSITORY, Home, write_private
from tasks.pipeline.commands import COMMANDS

NAME = "warm"
MODULES = (*(step.full_module for step in COMMANDS.values()), "mlflow.pytorch")
"""Imported by every step at its start, or later but slow to import. None may start a thread, as OpenVINO does."""
IDLE_SECONDS = 600
"""The process ends after this long without a step: its imports take about 700 MB."""
PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class Request:
    """A step to run: arguments, environment, working directory, and descriptors of stdout and stderr."""

    argv: list[str]
    environment: dict[str, str]
    folder: str
    outputs: list[int]


@dataclass(frozen=True)
class Running:
    """A forked step, and the client that waits for its end."""

    pid: int
    ended: int
    client: socket.socket


def write_program(home: Home, python: str) -> Path:
    """Write the program for RETAKE_PYTHON, which becomes `python` if no warm process runs."""
    servers = home.folder("servers")
    program = servers / "python"
    text = f'#!/bin/sh\nexec {shlex.join([sys.executable, "-IS", hand_over.__file__, python, str(servers)])} "$@"\n'
    if not program.exists() or program.read_text() != text:  # a step may start at any time
        write_private(program, text, mode=0o700)
    return program


def is_of_use() -> bool:
    """Check whether steps are forked on this machine."""
    return not os.environ.get("RETAKE_PYTHON") and num_gpus() == 0  # a process cannot share a GPU with its forks


def start(home: Home, environment: Mapping[str, str], modules: Sequence[str] = MODULES, sources: Path = REPOSITORY / "tasks") -> None:
    """Start the process with these modules unless it runs.

    Steps need not wait for the process. It ends when a Python file under `sources` changes. Hold the lock.
    """
    record = processes.read_record(home, NAME)
    fingerprint = hashlib.sha256(json.dumps([sys.executable, *modules, *_modified(sources).values()]).encode()).hexdigest()
    if record is not None and processes.is_running(record) and record.fingerprint == fingerprint:
        return
    stop(home)
    processes.rotate_log(home, NAME)
    argv = [sys.executable, "-m", "tasks.local.warm", str(home.root), str(sources), *modules]
    processes.launch(home, NAME, argv, environment, {}, fingerprint)


def stop(home: Home) -> None:
    """Stop the process and the steps that it forked. Hold the lock."""
    processes.stop(home, NAME, signal.SIGTERM, 2)


def _modified(sources: Path) -> dict[str, int]:
    """Map each Python file under `sources` to its modification time in nanoseconds."""
    return {str(path): path.stat().st_mtime_ns for path in sorted(sources.rglob("*.py"))}


def _serve(home: Home, sources: Path, modules: Sequence[str]) -> Request:
    """Fork a step for each request, and return the request only in the fork.

    The process itself ends here, after a long idle time or once its code is out of date.
    """
    modified = _modified(sources)
    left_behind = _import(modules)
    running: dict[int, Running] = {}
    with _listening(home) as listener, selectors.DefaultSelector() as selector:
        selector.register(listener, selectors.EVENT_READ)
        while (events := selector.select(None if running else IDLE_SECONDS)) or running:
            for key, _ in events:
                if key.fileobj is listener:
                    if modified != _modified(sources):
                        selector.unregister(listener)
                        listener.close()  # new clients run the step themselves
                    elif request := _accept(listener, running, selector):
                        return replace(request, environment={**left_behind, **request.environment})
                elif step := running.get(key.data):
                    _look_after(step, key.fd, running, selector)
            if listener.fileno() < 0 and not running:
                break
    os._exit(0)


def _import(modules: Sequence[str]) -> dict[str, str]:
    """Import the modules of steps; return the environment variables that they set."""
    before = dict(os.environ)
    gc.disable()  # imported objects are never freed
    # A step's stdout is its result: keep prints of imported modules out of it.
    with contextlib.redirect_stdout(sys.stderr):
        for module in modules:
            with contextlib.suppress(ImportError):
                import_module(module)
    # A module that logs during import configures the root logger; undo it, so that a step's own configuration applies.
    logging.getLogger().handlers.clear()
    logging.getLogger().setLevel(logging.WARNING)
    gc.freeze()
    gc.enable()
    return {name: value for name, value in os.environ.items() if before.get(name) != value}


@contextmanager
def _listening(home: Home) -> Iterator[socket.socket]:
    servers = home.folder("servers")
    (servers / SOCKET).unlink(missing_ok=True)
    address = f"/proc/self/fd/{os.open(servers, os.O_RDONLY)}/{SOCKET}"  # a socket address has at most 108 bytes
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen()
        yield listener


def _accept(listener: socket.socket, running: dict[int, Running], selector: selectors.BaseSelector) -> Request | None:
    """Fork the requested step; return the request only in the fork."""
    client, _ = listener.accept()
    client.settimeout(PATIENCE_SECONDS)
    try:
        request = _received(client)
    except (OSError, ValueError):
        client.close()
        return None
    sys.stdout.flush()
    sys.stderr.flush()
    parent, pid = os.getpid(), os.fork()
    if pid == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)
        os.setpgid(0, 0)
        selector.close()
        for inherited in (listener, client, *(other.client for other in running.values())):
            inherited.close()
        for other in running.values():
            os.close(other.ended)
        return request
    with contextlib.suppress(OSError):
        os.setpgid(pid, pid)  # also here: the client may be gone before the fork has run
    for output in request.outputs:
        os.close(output)
    step = running[pid] = Running(pid, os.pidfd_open(pid), client)
    for watched in (client, step.ended):
        selector.register(watched, selectors.EVENT_READ, pid)
    return None


def _look_after(step: Running, fd: int, running: dict[int, Running], selector: selectors.BaseSelector) -> None:
    """Report the step's exit; stop it if its client asks or is gone."""
    if fd == step.ended:
        _, status = os.waitpid(step.pid, 0)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(step.pid, signal.SIGKILL)  # child processes that outlive the step
        with contextlib.suppress(OSError):
            step.client.sendall(str(os.waitstatus_to_exitcode(status)).encode())
        with contextlib.suppress(KeyError):
            selector.unregister(step.client)
        selector.unregister(step.ended)
        os.close(step.ended)
        step.client.close()
        del running[step.pid]
        return
    try:
        asked = step.client.recv(1)
    except OSError:
        asked = b""
    if not asked:
        selector.unregister(step.client)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(step.pid, signal.SIGTERM if asked else signal.SIGKILL)


def _received(client: socket.socket) -> Request:
    """Read a request and accept it; raise OSError or ValueError if its client is gone."""
    head, outputs, _, _ = socket.recv_fds(client, SIZE_BYTES, 2)
    try:
        with client.makefile("rb", buffering=0) as stream:
            size, data = int.from_bytes(head, "big"), b""
            while len(data) < size:
                part = stream.read(size - len(data))
                if not part:
                    raise ValueError("the client was ended")
                data += part
        argv, environment, folder = json.loads(data)
        # Before the fork: a client that does not know of it runs the step itself.
        client.sendall(ACCEPTED)
    except (OSError, ValueError):
        for output in outputs:
            os.close(output)  # a reader would wait for its end
        raise
    return Request(argv, environment, folder, outputs)


def _run(request: Request) -> None:
    """Run the request as `python -m MODULE …` would."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for standard, given in enumerate((nothing, *request.outputs)):
        os.dup2(given, standard)
        os.close(given)
    os.environ.clear()
    os.environ.update(request.environment)
    tempfile.tempdir = None
    os.chdir(request.folder)
    _, module, *rest = request.argv
    sys.argv = [module, *rest]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if isinstance(ended.code, int):
            _end(ended.code)
        raise


def _end(code: int) -> NoReturn:
    """Exit like the interpreter, but without module teardown, which takes half a second."""
    threading._shutdown()  # type: ignore[attr-defined] # waits for non-daemon threads
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _run(_serve(Home(Path(sys.argv[1])), Path(sys.argv[2]), sys.argv[3:]))
