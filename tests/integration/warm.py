"""Forks steps from a process that has imported torch and the rest, which costs seconds each time."""

import contextlib
import ctypes
import gc
import hashlib
import json
import os
import runpy
import select
import shlex
import signal
import socket
import struct
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tasks.steps import COMMANDS, module_of

REPOSITORY = Path(__file__).resolve().parents[2]
STEP_MODULES = [module_of(command) for command in COMMANDS]
READY = b"ready\n"
SIZE_BYTES = 8
PR_SET_PDEATHSIG = 1

Request = tuple[list[str], dict[str, str], str, list[int]]
"""Arguments, environment, folder, and where stdout and stderr go."""

CLIENT = """
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({name!r})
    request = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(server, [len(request).to_bytes({size}, "big")], [1, 2])
    server.sendall(request)
    code = int(server.recv(16) or 1)
if code < 0:
    os.kill(os.getpid(), -code)
os._exit(code)
"""


@dataclass(frozen=True)
class WarmPython:
    """A program that stands for the interpreter, as in RETAKE_PYTHON, and forks `python -m MODULE …` while `served` lasts."""

    program: Path

    def __post_init__(self) -> None:
        self._write()

    @contextmanager
    def served(self, modules: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[None]:
        """Have a server up that has imported these modules."""
        name = f"retake-warm-{hashlib.sha256(str(self.program).encode()).hexdigest()[:16]}"
        command = [sys.executable, "-m", "tests.integration.warm", name, *modules]
        with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdout=subprocess.PIPE) as server:
            assert server.stdout
            assert server.stdout.readline() == READY, "the server of warm processes did not start"
            self._write("-IS", "-c", CLIENT.format(name=f"\0{name}", size=SIZE_BYTES))
            try:
                yield
            finally:
                self._write()
                server.kill()

    def _write(self, *arguments: str) -> None:
        new = self.program.with_suffix(".new")
        new.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, *arguments])} "$@"\n')
        new.chmod(0o755)
        new.rename(self.program)


def _serve(name: str) -> Request:
    """Fork for each request a process that watches, and from that one the step. Returns in the step alone."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0{name}")
        listening.listen(64)
        os.write(1, READY)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            asking, _ = listening.accept()
            if os.fork() == 0:
                break
            asking.close()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _die_with_parent()
    with asking:
        request = _request(asking)
        step = os.fork()
        if step:
            _watch(asking, step)
            os._exit(0)
    _die_with_parent()
    return request


def _watch(asking: socket.socket, step: int) -> None:
    """Tell how the step ended, or end it where whoever asked is gone."""
    with contextlib.suppress(OSError):  # the step may have done so itself
        os.setpgid(step, step)
    ended = os.pidfd_open(step)
    if ended not in select.select([asking, ended], [], [])[0]:
        os.killpg(step, signal.SIGKILL)
    _, status = os.waitpid(step, 0)
    with contextlib.suppress(OSError):
        asking.sendall(str(os.waitstatus_to_exitcode(status)).encode())


def _request(asking: socket.socket) -> Request:
    _, uid, _ = struct.unpack("3i", asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    assert uid == os.getuid(), "an abstract socket is open to every user of the machine"
    head, outputs, _, _ = socket.recv_fds(asking, SIZE_BYTES, 2)
    with asking.makefile("rb", buffering=0) as stream:
        data = b""
        while len(data) < int.from_bytes(head, "big"):
            part = stream.read(1 << 16)
            assert part, "the client was ended"
            data += part
    argv, environment, folder = json.loads(data)
    return argv, environment, folder, outputs


def _run(argv: list[str], environment: dict[str, str], folder: str, outputs: list[int]) -> None:
    """Do what `python -m MODULE …` does."""
    with contextlib.suppress(OSError):  # the watching process may have done so
        os.setpgid(0, 0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for standard, given in enumerate((nothing, *outputs)):
        os.dup2(given, standard)
        os.close(given)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None
    os.chdir(folder)
    _, module, *rest = argv
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


if __name__ == "__main__":
    _die_with_parent()
    gc.disable()
    with contextlib.redirect_stdout(sys.stderr):
        for module in sys.argv[2:]:
            import_module(module)
    gc.freeze()
    gc.enable()
    _run(*_serve(sys.argv[1]))
