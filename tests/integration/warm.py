"""Runs `python -m MODULE …` in processes forked from one that has imported what they need: importing torch anew costs seconds a step.

Arguments, environment, folder, output and exit code are those of a process that is started in the usual way.
"""

import contextlib
import gc
import hashlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from tasks.steps import COMMANDS

REPOSITORY = Path(__file__).resolve().parents[2]
STEP_MODULES = [f"tasks.steps.{step}" for step in COMMANDS]
SIZE_BYTES = 8
KILLED_CODE = 137

Request = tuple[list[str], dict[str, str], str, list[int]]
"""Arguments, environment, folder, and where stdout and stderr go."""

CLIENT = """#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    try:
        server.connect({name!r})
    except OSError:
        os.execv({python!r}, [{python!r}, *sys.argv[1:]])
    request = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(server, [len(request).to_bytes({size}, "big")], [1, 2])
    server.sendall(request)
    os._exit(int(server.recv(16) or {killed}))
"""


@dataclass(frozen=True)
class WarmPython:
    """A program that stands for the interpreter, as in RETAKE_PYTHON; without its server it is the interpreter itself."""

    program: Path

    def __post_init__(self) -> None:
        self.program.write_text(CLIENT.format(python=sys.executable, name=f"\0{self._name}", size=SIZE_BYTES, killed=KILLED_CODE))
        self.program.chmod(0o755)

    @contextmanager
    def served(self, modules: Sequence[str], environment: Mapping[str, str] | None = None) -> Iterator[None]:
        """Have a server up that knows these modules, while the block lasts."""
        command = [sys.executable, "-m", "tests.integration.warm", self._name, *modules]
        with subprocess.Popen(command, cwd=REPOSITORY, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
            assert server.stdout
            assert server.stdout.readline(), "the server of warm processes did not start"
            try:
                yield
            finally:
                server.kill()

    @property
    def _name(self) -> str:
        """Of the server's socket: a path may be too long for one."""
        return f"retake-warm-{hashlib.sha256(str(self.program).encode()).hexdigest()[:16]}"


def _serve(name: str) -> Request:
    """Fork for each request, until stdin ends. Returns in a forked process alone, with what it is to run."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(f"\0{name}")
    listening.listen(64)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    selector = selectors.DefaultSelector()
    selector.register(listening, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if key.fileobj is sys.stdin:
                os._exit(0)
            elif key.fileobj is listening:
                asking, _ = listening.accept()
                request = _request(asking)
                pid = os.fork()
                if pid == 0:
                    selector.close()
                    return request
                for output in request[-1]:
                    os.close(output)
                process = os.pidfd_open(pid)
                selector.register(process, selectors.EVENT_READ, (pid, asking))
                selector.register(asking, selectors.EVENT_READ, (pid, asking))
            elif key.fileobj is key.data[1]:
                # Whoever asked was killed.
                pid, asking = key.data
                selector.unregister(asking)
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(pid, signal.SIGKILL)
            else:
                pid, asking = key.data
                _, status = os.waitpid(pid, 0)
                with contextlib.suppress(OSError):
                    asking.sendall(str(os.waitstatus_to_exitcode(status) % 256).encode())
                with contextlib.suppress(KeyError):
                    selector.unregister(asking)
                selector.unregister(key.fileobj)
                asking.close()
                os.close(key.fd)


def _request(asking: socket.socket) -> Request:
    head, outputs, _, _ = socket.recv_fds(asking, SIZE_BYTES, 2)
    size = int.from_bytes(head, "big")
    data = b""
    while len(data) < size:
        data += asking.recv(size - len(data))
    argv, environment, folder = json.loads(data)
    return argv, environment, folder, outputs


def _run(argv: list[str], environment: dict[str, str], folder: str, outputs: list[int]) -> None:
    """Do what `python -m MODULE …` does."""
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


if __name__ == "__main__":
    gc.disable()
    for module in sys.argv[2:]:
        import_module(module)
    gc.freeze()
    gc.enable()
    _run(*_serve(sys.argv[1]))
